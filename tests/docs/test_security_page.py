"""The limits that docs/security.md tells are those of the code."""

import importlib
import re

import pytest

from tests.docs.pages import PROJECT

UNITS = {"": 1, "MiB": 1 << 20, "TiB": 1 << 40}
ROWS = re.findall(
    r"^\| [^|]+ \| ([\d,]+) ?(\w*) \| `([\w.]+)\.(\w+)` \|$",
    (PROJECT / "docs/security.md").read_text(),
    re.MULTILINE,
)


@pytest.mark.parametrize(("number", "unit", "module", "name"), ROWS)
def test_a_limit(number: str, unit: str, module: str, name: str) -> None:
    assert (
        getattr(importlib.import_module(module), name) == int(number.replace(",", "")) * UNITS[unit]
    )


def test_there_are_limits() -> None:
    assert len(ROWS) > 15
