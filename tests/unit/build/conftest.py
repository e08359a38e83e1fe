from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest

from lamina.engine import Engine
from tests.real.archives import docker_archive
from tests.real.images import busybox_image, tar_of


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    """An engine that has busybox."""
    async with Engine.open(tmp_path / "root") as engine:
        await load_busybox(engine)
        yield engine


async def load_busybox(engine: Engine) -> None:
    archive = tar_of(docker_archive((busybox_image(), ["busybox:latest"])))
    await engine.image_load(BytesIO(archive), quiet=True)
