import re
import time

from hypothesis import given, strategies as st

from lamina.dockerfile import patterns

PATTERNS = st.text(alphabet="ab*?.", max_size=8)
TEXTS = st.text(alphabet="ab.", max_size=16)


def expression(pattern: str, *, greedy: bool) -> str:
    """What BuildKit makes of a pattern; fine to run where both are short."""
    star = ".*" if greedy else ".*?"
    return "".join({"*": star, "?": "."}.get(char, re.escape(char)) for char in pattern)


@given(text=TEXTS, pattern=PATTERNS, longest=st.booleans())
def test_a_prefix_goes_as_a_regular_expression_would_take_it(
    text: str, pattern: str, *, longest: bool
) -> None:
    match = re.match(expression(pattern, greedy=longest), text)
    expected = text[match.end() :] if match else text
    assert patterns.trim_prefix(text, pattern, longest=longest) == expected


@given(text=TEXTS, pattern=PATTERNS, longest=st.booleans())
def test_a_suffix_is_a_prefix_backwards(text: str, pattern: str, *, longest: bool) -> None:
    backwards = patterns.trim_prefix(text[::-1], pattern[::-1], longest=longest)[::-1]
    assert patterns.trim_suffix(text, pattern, longest=longest) == backwards


@given(TEXTS, PATTERNS)
def test_the_first_match_is_replaced_as_a_regular_expression_would(text: str, pattern: str) -> None:
    expected = re.sub(expression(pattern, greedy=True), "-", text, count=1)
    assert patterns.replace(text, pattern, "-", every=False) == expected


@given(TEXTS, PATTERNS.filter(lambda pattern: pattern.strip("*")))
def test_all_matches_are_replaced_as_a_regular_expression_would(text: str, pattern: str) -> None:
    expected = re.sub(expression(pattern, greedy=True), "-", text)
    assert patterns.replace(text, pattern, "-", every=True) == expected


def test_an_empty_match_behind_another_does_not_count() -> None:
    assert patterns.replace("abc", "*", "-", every=True) == "-"
    assert patterns.replace("", "*", "-", every=True) == "-"
    assert patterns.replace("ab", "", "-", every=True) == "-a-b-"


def test_wildcards_stop_at_line_ends() -> None:
    assert patterns.trim_prefix("a\nb", "*b", longest=True) == "a\nb"
    assert patterns.trim_prefix("a\nb", "*", longest=True) == "\nb"
    assert patterns.replace("a\nb", "?b", "-", every=True) == "a\nb"


def test_escaped_wildcards_are_literal() -> None:
    assert patterns.trim_prefix("a*b", "a\\*", longest=False) == "b"
    assert patterns.trim_prefix("aXb", "a\\*", longest=False) == "aXb"
    assert patterns.trim_suffix("a?b\\", "\\?b\\\\", longest=False) == "a"
    assert patterns.trim_prefix("a/b", "a\\/", longest=False) == "b"


def test_time_is_bounded_whatever_the_pattern() -> None:
    text = "a" * 20_000
    started = time.process_time()
    assert patterns.trim_prefix(text, "*a" * 30 + "b", longest=True) == text
    assert patterns.replace(text, "*a" * 30 + "b", "", every=True) == text
    assert time.process_time() - started < 5
