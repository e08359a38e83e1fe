"""The containers of a root, without an engine around them."""

import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lamina.containers.containers import Containers, Parts
from lamina.content.local import LocalStore
from lamina.records.configs import ImageConfigs
from lamina.records.records import Records
from lamina.runtime.workshop import Workshop

LOGGER = logging.getLogger("test")


@pytest.fixture
async def containers(tmp_path: Path) -> AsyncIterator[Containers]:
    blobs = LocalStore(tmp_path / "content")
    async with Records.open(tmp_path, blobs, logger=LOGGER) as records:
        workshop = Workshop(tmp_path, records, blobs, logger=LOGGER)
        parts = Parts(records, ImageConfigs(blobs), workshop, time.time_ns, LOGGER)
        yield Containers(tmp_path / "containers", tmp_path / "volumes", parts)
        await workshop.close()
