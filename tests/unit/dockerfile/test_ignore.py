"""`docker_ignores.json` holds what the docker CLI 28 sent of the tree below for ignore files: the
paths of the context, the ignore file and the Dockerfile left out, or the error it gave.
"""

import json
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from lamina.dockerfile.ignore import IgnorePatterns, read_patterns
from lamina.dockerfile.source import DockerfileError

_FILES = (
    "a b.txt x/y/z.txt x/y/k x/a x/b.txt foo/bar/a foo/bar/b.go foo/baz foo.d/q .hidden "
    ".git/config .git/o/p n/.git/config docs/README.md README.md docs/a/b/c/d.md st*r br[a] "
    "sub/foo/bar/x é/ü.txt x/y.z/w b^c a+b a.b dollar$ p(q) a{b}"
)
FILES = [*_FILES.split(" "), "we ird"]
ROWS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "docker_ignores.json").read_text("utf-8")
)


def tree(files: list[str]) -> dict[str, list[str]]:
    """The children of every directory; the context itself is the empty name."""
    children: dict[str, list[str]] = {"": []}
    for file in files:
        parts = file.split("/")
        for depth in range(len(parts)):
            directory, path = "/".join(parts[:depth]), "/".join(parts[: depth + 1])
            if path not in children.setdefault(directory, []):
                children[directory].append(path)
    return children


def walk(patterns: IgnorePatterns, children: dict[str, list[str]], top: str = "") -> Iterator[str]:
    for path in children[top]:
        if not patterns.ignores(path):
            yield path
        if path in children and patterns.walks_into(path):
            yield from walk(patterns, children, path)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: repr(row["ignore"]))
def test_files_are_ignored_as_docker_ignores_them(row: dict[str, Any]) -> None:
    if "error" in row:
        with pytest.raises(DockerfileError) as caught:
            IgnorePatterns.parse(row["ignore"])
        assert str(caught.value) == row["error"]
    else:
        sent = sorted(walk(IgnorePatterns.parse(row["ignore"]), tree(FILES)))
        assert sent == row["sent"]


def test_reading_an_ignore_file() -> None:
    text = "\ufeff# c\n\n  a/  \n !  /b//c\n#x\n  # kept\n!\n/\n./d\r\n"
    assert read_patterns(text) == ("a", "!b/c", "# kept", "!", "/", "d")


def test_order_of_questions_does_not_matter() -> None:
    text = "x\n!x/y\nx/y/z.txt\n**/q"
    forwards, backwards = IgnorePatterns.parse(text), IgnorePatterns.parse(text)
    paths = sorted(path for paths in tree(FILES).values() for path in paths)
    answers = [forwards.ignores(path) for path in paths]
    assert [backwards.ignores(path) for path in reversed(paths)] == answers[::-1]


def test_the_context_itself_is_never_ignored() -> None:
    patterns = IgnorePatterns.parse("**\n.\n*")
    assert not patterns.ignores(".")
    assert not patterns.ignores("")
    assert patterns.ignores("a")


def test_exceptions_are_known() -> None:
    assert IgnorePatterns.parse("a\n!b").has_exceptions
    assert not IgnorePatterns.parse("a\nb").has_exceptions


COMPONENTS = st.sampled_from(["a", "b", "ab", "*", "**", "a*", "*b", "?", "a*b", "[ab]", "*a*b*"])
PATHS = st.lists(st.sampled_from(["a", "b", "ab", "aab", "abab"]), min_size=1, max_size=5)


def naive(pattern: list[str], path: list[str]) -> bool:
    """What a pattern of whole components means, without regard to time."""
    if not pattern:
        return not path
    head, *rest = pattern
    if head != "**":
        return bool(path) and naive_component(head, path[0]) and naive(rest, path[1:])
    if not rest:
        return bool(path)
    return any(naive(rest, path[skipped:]) for skipped in range(len(path) + 1))


def naive_component(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(naive_component(pattern[1:], text[i:]) for i in range(len(text) + 1))
    if pattern.startswith("[ab]"):
        return text[:1] in ("a", "b") and naive_component(pattern[4:], text[1:])
    return (
        text[:1] != "" and pattern[0] in ("?", text[0]) and naive_component(pattern[1:], text[1:])
    )


@given(st.lists(COMPONENTS, min_size=1, max_size=5), PATHS)
def test_components_mean_what_they_say(pattern: list[str], path: list[str]) -> None:
    patterns = IgnorePatterns(["/".join(pattern)])
    expected = any(naive(pattern, path[: depth + 1]) for depth in range(len(path)))
    assert patterns.ignores("/".join(path)) == expected


@given(st.text(alphabet="ab*?[]^-!\\/.# \n", max_size=30), PATHS)
def test_any_ignore_file_is_read_or_refused(text: str, path: list[str]) -> None:
    try:
        patterns = IgnorePatterns.parse(text)
    except DockerfileError:
        return
    patterns.ignores("/".join(path))


@pytest.mark.parametrize(
    "pattern",
    [
        "*a" * 25 + "*b",
        "*[a]" * 25 + "*b",
        "**/" * 20 + "b",
        "**a" * 20 + "b",
        "**/*a*a*a/**/" * 6 + "b",
    ],
)
def test_time_is_bounded_whatever_the_pattern(pattern: str) -> None:
    patterns = IgnorePatterns([pattern])
    started = time.process_time()
    assert not patterns.ignores("a" * 255)
    assert not patterns.ignores("/".join(["a" * 10] * 300))
    assert time.process_time() - started < 5


def test_memory_for_directories_is_limited() -> None:
    patterns = IgnorePatterns(f"!x{number}" for number in range(5000))
    tracemalloc.start()
    for number in range(5000):
        assert not patterns.ignores(f"d{number}/f")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000
