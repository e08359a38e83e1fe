import pytest

from lamina.dockerfile.gostrings import clean, parse_duration, parse_int, quote, quote_all
from lamina.dockerfile.source import DockerfileError


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("5s", 5 * 10**9),
        ("-1.5h", -5400 * 10**9),
        ("+1m30.5s", 90_500_000_000),
        (".5ms", 500_000),
        ("1.s", 10**9),
        ("1µs2ns", 1002),
        ("1h1m1s1ms1us1ns", 3_661_001_001_001),
        ("0.0000000019s", 1),
    ],
)
def test_durations(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'time: invalid duration ""'),
        ("-", 'time: invalid duration "-"'),
        ("s", 'time: invalid duration "s"'),
        (".s", 'time: invalid duration ".s"'),
        ("1", 'time: missing unit in duration "1"'),
        ("1s2", 'time: missing unit in duration "1s2"'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
        ("9999999h", 'time: invalid duration "9999999h"'),
        ("9" * 5000 + "s", 'time: invalid duration "' + "9" * 5000 + 's"'),
    ],
)
def test_what_is_no_duration(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse_duration(text)
    assert str(caught.value) == message


def test_numbers() -> None:
    assert parse_int("-2147483648", bits=32) == -(2**31)
    for text, problem in (("x", "invalid syntax"), ("2147483648", "value out of range")):
        with pytest.raises(DockerfileError, match=f'parsing "{text}": {problem}'):
            parse_int(text, bits=32)
    with pytest.raises(DockerfileError, match="out of range"):
        parse_int("9" * 5000, bits=32)


def test_quoting() -> None:
    assert quote('a"b\\c\n\x01é\u200b\U0001f600\U000e0001') == (
        '"a\\"b\\\\c\\n\\x01é\\u200b\U0001f600\\U000e0001"'
    )
    assert quote_all(["a", "b c"]) == '["a" "b c"]'


@pytest.mark.parametrize(
    ("path", "cleaned"),
    [("", "."), ("//a", "/a"), ("a/../..", ".."), ("a//b/./c/", "a/b/c"), ("/..", "/")],
)
def test_paths_are_cleaned_as_go_does(path: str, cleaned: str) -> None:
    assert clean(path) == cleaned
