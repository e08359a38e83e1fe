"""What the pages refer to is there: files, headings, modules, names, tests."""

import importlib
import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, PROJECT, blocks, files

FILES = [
    path
    for place in ("src", "tests", "bench", "examples")
    for path in PROJECT.glob(f"{place}/**/*.py")
]


def text_of(page: str) -> str:
    """The page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", (PROJECT / page).read_text(), flags=re.DOTALL | re.MULTILINE)


def spans(page: str) -> list[str]:
    """What stands in it as code, but for files that it shows itself; of drawings the words."""
    words = [word for block in blocks(page, "") for word in block.split()]
    found = [*re.findall(r"`([^`\n]+)`", text_of(page)), *words]
    return [span for span in found if span not in files(page)]


def anchors(path: Path) -> set[str]:
    """The names that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.+)$", text_of(str(path.relative_to(PROJECT))), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links(page: str) -> None:
    directory = (PROJECT / page).parent
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (directory / name).resolve() if name else PROJECT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES)
def test_files(page: str) -> None:
    """A file may be named by the end of its path, and a test in it behind that."""
    for span in spans(page):
        if re.fullmatch(r"[\w./-]+\.py(::\w+)?", span):
            name, _, test = span.partition("::")
            found = [path for path in FILES if f"/{path}".endswith(f"/{name}")]
            assert found, span
            assert not test or any(f"def {test}(" in path.read_text() for path in found), span


@pytest.mark.parametrize("page", PAGES)
def test_names(page: str) -> None:
    """What is written as it would be imported can be."""
    for span in spans(page):
        if re.fullmatch(r"lamina(\.\w+)+", span):
            assert is_there(span), span


def is_there(name: str) -> bool:
    """Whether this is a module, or a name in one, or an attribute of that."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        return all((found := getattr(found, part, None)) is not None for part in parts[length:])
    return False
