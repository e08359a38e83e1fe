import pytest

from lamina.errors import InvalidParameter
from lamina.registry.search import Term, parse_term


@pytest.mark.parametrize(
    ("text", "registry", "term"),
    [
        ("busybox", "docker.io", "busybox"),
        ("library/busybox", "docker.io", "busybox"),
        ("some/thing", "docker.io", "some/thing"),
        ("docker.io/some/thing", "docker.io", "some/thing"),
        ("index.docker.io/library/x", "docker.io", "x"),
        ("reg.example/thing", "reg.example", "thing"),
        ("localhost/thing", "localhost", "thing"),
        ("localhost:5000/a/b", "localhost:5000", "a/b"),
        ("reg.example:5000/", "reg.example:5000", ""),
        ("reg.example", "docker.io", "reg.example"),
    ],
)
def test_a_host_before_the_first_slash_is_the_registry(text: str, registry: str, term: str) -> None:
    assert parse_term(text) == Term(registry, term)


def test_a_scheme_is_refused_in_dockers_words() -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse_term("https://reg.example/x")
    assert str(caught.value) == (
        "invalid repository name: repository name (https://reg.example/x) should not have a scheme"
    )
