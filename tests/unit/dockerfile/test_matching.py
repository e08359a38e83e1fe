import re
import time

import pytest
from hypothesis import given, strategies as st

from lamina.dockerfile.goglob import GLOBSTAR, LITERAL, ONE, STAR, BadPattern, Token, tokens
from lamina.dockerfile.matching import matcher

PATTERNS = st.lists(
    st.sampled_from(["a", "b", "/", "?", "*", "**", "**/", "[ab]", "[^a]", "\\*"]), max_size=9
).map("".join)
TEXTS = st.text(alphabet="ab/*\n", max_size=8)


def naive(parsed: list[Token]) -> str:
    """What a pattern means, as one expression, without regard to time."""
    kinds = {STAR: "[^/]*", ONE: "[^/]", GLOBSTAR: "(?:.*/)?"}
    pieces = [re.escape(t.text) if t.kind == LITERAL else kinds.get(t.kind, t.text) for t in parsed]
    text = "".join(pieces).replace("(?:.*/)?/", "(?:.*/)?")
    return re.sub(r"\(\?:\.\*/\)\?\Z", ".*", text)


@given(PATTERNS, st.lists(TEXTS, min_size=1, max_size=8))
def test_it_means_what_an_expression_would(pattern: str, texts: list[str]) -> None:
    try:
        parsed = tokens(pattern)
    except BadPattern:
        return
    matches, regex = matcher(parsed), re.compile(naive(parsed))
    for text in texts:
        assert matches(text) == (regex.fullmatch(text) is not None), text


@pytest.mark.parametrize("part", ["*a", "*[a]", "*?", "**a", "**/a", "**/*[a]", "*a**/"])
def test_no_pattern_takes_long(part: str) -> None:
    started = time.process_time()
    matches = matcher(tokens(part * 100 + "z"))
    assert not matches("a" * 4000)
    assert not matches("a/" * 2000)
    assert time.process_time() - started < 5


@pytest.mark.parametrize("part", ["**", "**/"])
def test_any_number_of_directories_any_number_of_times(part: str) -> None:
    started = time.process_time()
    matches = matcher(tokens(part * 150_000 + "x"))
    assert matches("a/b/x")
    assert not any(matches(f"a/b/{number}") for number in range(50))
    assert time.process_time() - started < 5
