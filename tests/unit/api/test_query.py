from urllib.parse import urlencode

import pytest

from lamina.api.query import Query
from lamina.errors import InvalidFilter, InvalidParameter


@pytest.mark.parametrize("text", ["", "0", "no", "false", "none", "False", "NONE", "+no+"])
def test_false_booleans(text: str) -> None:
    assert not Query(f"force={text}").flag("force", default=True)


@pytest.mark.parametrize("text", ["1", "yes", "true", "True", "anything", "2"])
def test_all_else_is_true(text: str) -> None:
    assert Query(f"force={text}").flag("force")


def test_a_missing_boolean_has_its_default() -> None:
    assert Query("").flag("quiet", default=True)
    assert not Query("other=1").flag("quiet")


def test_the_first_value_counts_but_for_repeated_parameters() -> None:
    query = Query("names=a&names=b%2Fc%3Ad&x=&y")
    assert query.text("names") == "a"
    assert query.texts("names") == ["a", "b/c:d"]
    assert (query.text("x"), query.text("y"), query.text("z")) == ("", "", "")
    assert query.texts("z") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("null", {}),
        ("{}", {}),
        ('{"label":{"a":true,"b=c":true}}', {"label": ["a", "b=c"]}),
        ('{"label":["a","b=c","a"]}', {"label": ["a", "b=c"]}),
        ('{"dangling":null}', {"dangling": []}),
    ],
)
def test_filters_in_both_forms(text: str, expected: dict[str, list[str]]) -> None:
    assert Query(urlencode({"filters": text})).filters() == expected


@pytest.mark.parametrize(
    "text", ["xx", "[]", '"a"', '{"a":1}', '{"a":"b"}', '{"a":{"b":1}}', '{"a":[1]}', "[" * 9999]
)
def test_filters_that_make_no_sense(text: str) -> None:
    with pytest.raises(InvalidFilter, match=r"^invalid filter$"):
        Query(urlencode({"filters": text})).filters()


@pytest.mark.parametrize(
    ("text", "number"), [("7", 7), ("-1", -1), ("1_0", 0), ("%D9%A3", 0), ("9" * 19, 0), ("x", 0)]
)
def test_numbers_and_what_is_none(text: str, number: int) -> None:
    assert Query(f"memory={text}").number("memory") == number


# The words of dockerd 20.10.
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("all=%zz", 'invalid URL escape "%zz"'),
        ("all=1&x%4=1", 'invalid URL escape "%4="'),
        ("all=%", 'invalid URL escape "%"'),
        ("all=1;filters=x", "invalid semicolon separator in query"),
    ],
)
def test_what_go_does_not_read(text: str, message: str) -> None:
    with pytest.raises(InvalidParameter, match=f"^{message}$"):
        Query(text)


def test_a_flood_of_parameters_is_refused() -> None:
    with pytest.raises(InvalidParameter):
        Query("&".join(["a=b"] * 30_000))
