from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lamina.engine import Engine
from tests.real.registry import Registry
from tests.registry.faults import FaultProxy


@pytest.fixture
async def proxy(registry: Registry) -> AsyncIterator[FaultProxy]:
    """The registry, behind what networks do."""
    async with FaultProxy(f"127.0.0.1:{registry.port}").running() as running:
        yield running


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with Engine.open(tmp_path / "engine") as running:
        yield running


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Engine]:
    """Another engine, which has nothing of the first one's."""
    async with Engine.open(tmp_path / "other") as running:
        yield running
