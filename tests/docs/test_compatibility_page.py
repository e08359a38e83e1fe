"""docs/compatibility.md has a line for each parameter, and names tests that there are.

Of each parameter and client it names a test that gives the one by the other, or says why there is
none; `tests/given.py` is how a test says what it gives, and is held to it.
"""

import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

from tests.docs.pages import PROJECT
from tests.given import said_to_give
from tests.operations import OPERATIONS

TESTS = Path(__file__).resolve().parents[1]
PAGE = (PROJECT / "docs/compatibility.md").read_text()


CLIENTS: Final = {
    "docker": ("compat/test_docker_cli_*.py", "test_docker_cli_"),
    "docker-py": ("compat/test_docker_py_parameters.py", "test_docker_py_parameters::"),
    "aiodocker": ("compat/test_aiodocker_parameters.py", "test_aiodocker_parameters::"),
    "`lamina`": ("cli/test_parameters.py", "test_parameters::"),
}
"""The columns of clients: the tests in which they give what they can, and what all begin with."""

NONE: Final = "–"


def rows() -> Iterator[tuple[str, dict[str, str]]]:
    """Operation and cells, by the names of their columns, of each line of the first table."""
    section = PAGE.partition("## Operations and parameters")[2].partition("\n## ")[0]
    table = section[section.index("| operation |") :].partition("\n\n")[0]
    names, _, *others = (
        [cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()
    )
    operation = ""
    for cells in others:
        operation = cells[0].strip("`") or operation
        yield operation, dict(zip(names, cells, strict=True))


def by_client(client: str) -> dict[str, Callable[..., object]]:
    """A client's tests, by name as the page has them."""
    files, beginning = CLIENTS[client]
    modules = {
        path.stem: import_module(".".join(path.relative_to(PROJECT).with_suffix("").parts))
        for path in TESTS.glob(files)
    }
    return {
        f"{file}::{name}".removeprefix(beginning): value
        for file, module in modules.items()
        for name, value in vars(module).items()
        if name.startswith("test_")
    }


@pytest.mark.parametrize("client", CLIENTS)
def test_each_client_gives_each_parameter_in_a_test(client: str) -> None:
    tests = by_client(client)
    for operation, cells in rows():
        parameter, cell = cells["parameter"].strip("`"), cells[client]
        giving = {
            name
            for name, test in tests.items()
            if parameter in said_to_give(test).get(operation, ())
        }
        where = f"{client}: {parameter} of {operation}"
        if cell.startswith(NONE):
            assert not giving, f"{where} is given by {giving}"
        else:
            named = set(re.findall(r"`((?:\w+::)?test_\w+)`", cell))
            assert named, f"{where}: neither a test nor a reason"
            assert named <= giving, f"{where} is not given by {named - giving}"


def named_tests() -> set[str]:
    """The tests and files of tests that the page names."""
    return set(re.findall(r"`((?:\w+/)*test_\w+(?:\.py|::test_\w+|\.py::test_\w+)?)`", PAGE))


def test_there_is_a_line_for_each() -> None:
    expected = [(name, p) for name, operation in OPERATIONS.items() for p in operation.parameters]
    lines = [(operation, cells["parameter"].strip("`")) for operation, cells in rows()]
    assert sorted(lines) == sorted(expected)


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
