import fnmatch
import itertools

import pytest

from lamina.build.picking import component_matcher


@pytest.mark.parametrize(
    "pattern",
    ["*", "a*", "*a", "*a*", "a*b*", "**", "?a*", "*?b", "[ab]*b", "*[ab]", "a*ab*b", "*ab*ba*"],
)
def test_it_matches_what_a_shell_matches(pattern: str) -> None:
    for length in range(6):
        for letters in itertools.product("abc", repeat=length):
            name = "".join(letters)
            expected = fnmatch.fnmatchcase(name, pattern)
            assert component_matcher(pattern)(name) == expected, name


def test_it_takes_no_time() -> None:
    assert not component_matcher("*a" * 50 + "b")("a" * 200)
    assert not component_matcher("*" * 500 + "b")("a" * 200)
    assert not component_matcher("*[a]" * 50 + "b")("a" * 200)
