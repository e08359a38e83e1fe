import time

import pytest

from lamina.engine.filters import FilterSet, glob, parse_time
from lamina.errors import InvalidFilter, InvalidParameter

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


def test_names_that_are_not_accepted() -> None:
    with pytest.raises(InvalidFilter, match=r"^invalid filter 'nonsense'$"):
        FilterSet.check({"nonsense": ["x"]}, ["label"])
    chosen = FilterSet.select({"nonsense": ["x"], "label": ["a", "a", "b"]}, ["label"])
    assert chosen.values == {"label": ("a", "b")}


def test_booleans() -> None:
    for value in (True, "true", "1", ["1", "true"]):
        assert FilterSet.check({"x": value}, ["x"]).boolean("x", default=False)
    for value in (False, "false", "0"):
        assert not FilterSet.check({"x": value}, ["x"]).boolean("x", default=True)
    assert FilterSet().boolean("x", default=True)
    with pytest.raises(InvalidFilter, match=r"^invalid filter 'x=\[maybe\]'$"):
        FilterSet.check({"x": "maybe"}, ["x"]).boolean("x", default=True)


@pytest.mark.parametrize(
    ("text", "matches"),
    [("a", True), ("a=1", True), ("a=", False), ("b", True), ("b=", True), ("c", False)],
)
def test_labels(text: str, *, matches: bool) -> None:
    filters = FilterSet.check({"label": [text]}, ["label"])
    assert filters.matches_labels({"a": "1", "b": ""}) is matches
    assert not filters.matches_labels(None)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*", ["a", ""], ["a/b"]),
        ("*/b", ["a/b"], ["b", "a/a/b"]),
        ("**/b", ["a/b"], ["b", "a/a/b"]),
        ("?", ["a"], ["/", "", "ab"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "x"]),
        ("[^a]", ["b"], ["a"]),
        (r"[\]-]", ["]"], ["\\"]),
        (r"\*", ["*"], ["a"]),
        ("a.c", ["a.c"], ["abc"]),
        ("(a|b)+", ["(a|b)+"], ["a"]),
    ],
)
def test_patterns_are_those_of_go(pattern: str, yes: list[str], no: list[str]) -> None:
    if pattern == r"[\]-]":
        with pytest.raises(InvalidParameter):
            glob(pattern)
        return
    matches = glob(pattern)
    assert all(matches(text) for text in yes)
    assert not any(matches(text) for text in no)


@pytest.mark.parametrize("pattern", ["*a" * 25 + "b", "*[a]" * 25 + "b", "**a" * 25 + "b"])
def test_no_pattern_takes_long(pattern: str) -> None:
    started = time.process_time()
    assert not glob(pattern)("a" * 255)
    assert time.process_time() - started < 1


@pytest.mark.parametrize("pattern", ["[", "[]", "[a", "[a-", "[z-a]", "\\", "[-a]", "[a\\"])
def test_patterns_that_are_none(pattern: str) -> None:
    with pytest.raises(InvalidParameter, match=r"^syntax error in pattern$"):
        glob(pattern)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("0", 0),
        ("10", 10 * SECOND),
        ("10.5", 10 * SECOND + SECOND // 2),
        ("1.000000001", SECOND + 1),
        ("10m", NOW - 600 * SECOND),
        ("1h30m", NOW - 5_400 * SECOND),
        ("1.5s", NOW - SECOND * 3 // 2),
        ("-1h", NOW + 3_600 * SECOND),
        ("1970-01-01", 0),
        ("1970-01-02T03", (86_400 + 3 * 3_600) * SECOND),
        ("1970-01-01T00:01", 60 * SECOND),
        ("1970-01-01T00:00:01.5Z", SECOND * 3 // 2),
        ("1970-01-01T01:00:00+01:00", 0),
        ("0001-01-01T00:00:00+10:00", (-62_135_596_800 - 36_000) * SECOND),
        ("9999-12-31T23:59:59-10:00", (253_402_300_799 + 36_000) * SECOND),
        ("+5", 5 * SECOND),
        ("9223372036854775807", 9_223_372_036_854_775_807 * SECOND),
    ],
)
def test_times(text: str, moment: int) -> None:
    assert parse_time(text, NOW) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "10x",
        "1970-13-01",
        "1970-01-01T25",
        "1.0000000001",
        "1 h",
        "9223372036854775808",
        "9" * 5000,
        "9" * 400 + "s",
        "9999999999999h",
        "\N{ARABIC-INDIC DIGIT ONE}",
        "\N{ARABIC-INDIC DIGIT ONE}s",
    ],
)
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(InvalidParameter, match="failed to parse value as time or duration"):
        parse_time(text, NOW)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("web", True),
        ("^/web-[0-9]+$", True),
        ("db|web", True),
        ("^web", False),
        ("(/|[a-z])*-1+$", True),
        # Engines that go back over the text would be at these for ever.
        ("((/|[a-z])+)+!$", False),
        ("(.*)*(.*)*(.*)*=", False),
        # None of RE2's, and of Go's.
        ("web(", False),
        ("(?<=/)web", False),
        ("\ud800", False),
    ],
)
def test_names_are_found_by_regular_expressions(pattern: str, *, found: bool) -> None:
    filters = FilterSet.check({"name": [pattern]}, ["name"])
    assert filters.finds("name", "/web-" + "1" * 60) == found


def test_what_is_the_text_itself_is_found_whatever_it_means() -> None:
    assert FilterSet.check({"name": ["a(+"]}, ["name"]).finds("name", "a(+")
