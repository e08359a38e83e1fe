import pytest

from lamina.dockerfile.directives import CheckOptions
from lamina.dockerfile.source import DockerfileError


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", CheckOptions()),
        ("skip=all", CheckOptions(skip=frozenset({"all"}), skip_all=True)),
        ("skip=A, B ; error = true", CheckOptions(skip=frozenset({"A", "B"}), error=True)),
        ("error=0;experimental=C", CheckOptions(experimental=frozenset({"C"}))),
        (
            "experimental=all",
            CheckOptions(experimental=frozenset({"all"}), experimental_all=True),
        ),
    ],
)
def test_check_options(text: str, options: CheckOptions) -> None:
    assert CheckOptions.parse(text) == options


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo", 'invalid check option "foo"'),
        ("foo=bar", 'invalid check option "foo"'),
        (
            "error=x",
            (
                'failed to parse check option "error=x": strconv.ParseBool: parsing "x": '
                "invalid syntax"
            ),
        ),
    ],
)
def test_what_is_no_check_option(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        CheckOptions.parse(text)
    assert str(caught.value) == message
