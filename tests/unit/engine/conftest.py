"""An engine on a root of its own, and sources that can be watched."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lamina.engine import Engine


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
async def engine(root: Path) -> AsyncIterator[Engine]:
    async with Engine.open(root) as opened:
        yield opened
