"""docs/compatibility.md has a line for each parameter, and names tests that there are."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import PROJECT
from tests.operations import OPERATIONS

TESTS = Path(__file__).resolve().parents[1]
PAGE = (PROJECT / "docs/compatibility.md").read_text()


def rows() -> Iterator[tuple[str, str]]:
    """Operation and parameter of each line of the first table."""
    section = PAGE.partition("## Operations and parameters")[2].partition("\n## ")[0]
    operation = ""
    for cells in re.findall(r"^\| *(\S*) *\| `(\w+)` \|", section, re.MULTILINE):
        operation = cells[0].strip("`") or operation
        yield operation, cells[1]


def named_tests() -> set[str]:
    """The tests and files of tests that the page names."""
    return set(re.findall(r"`((?:\w+/)*test_\w+(?:\.py|::test_\w+|\.py::test_\w+)?)`", PAGE))


def test_there_is_a_line_for_each() -> None:
    expected = [(name, p) for name, operation in OPERATIONS.items() for p in operation.parameters]
    assert sorted(rows()) == sorted(expected)


@pytest.mark.parametrize("name", sorted(named_tests()))
def test_a_test_that_is_named(name: str) -> None:
    path, _, function = name.partition("::")
    files = list(TESTS.rglob(f"{path.removesuffix('.py')}.py"))
    if not files and not function:
        # A test that is named in a line after its file.
        function, files = path, list(TESTS.rglob("test_*.py"))
    texts = [file.read_text() for file in files]
    assert texts
    if function:
        assert any(re.search(rf"def {function}\(", text) for text in texts)
