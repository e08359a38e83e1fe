"""A disk without room: a clear error, nothing half done, and all is well once there is room."""

import errno
import random
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from lamina.client import Client
from lamina.engine import Engine
from lamina.errors import EngineError
from lamina.image_api import ImageApi
from tests.real.archives import docker_archive
from tests.real.images import file, layer, make_image, tar_of
from tests.real.lamina_daemon import LaminaDaemon
from tests.real.registry import Registry
from tests.unit.engine.root_files import look_at
from tests.unit.engine.sources import load, pieces
from tests.unit.layers.trees import needs_root

pytestmark = needs_root
KIB = 1 << 10
NOISE = random.Random("full").randbytes(1024 * KIB)
IMAGE = make_image(layer(file("a", NOISE)), layer(file("b", NOISE[:1000])))
ARCHIVE = tar_of(docker_archive((IMAGE, ["full:1"])))
ROOM = (0, 4, 8, 12, 16, 24, 32, 64, 128, 512, 1024, 1040, 1060, 1080, 1100, 1150, 1200, 4000)
"""KiB, from none to more than enough."""


class Disk:
    """A small file system at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self, *, leaving: int) -> None:
        """Take all room but so many KiB."""
        with self._filler.open("wb", buffering=0) as filler:
            with suppress(OSError):
                while True:
                    filler.write(bytes(4 * KIB))
            filler.truncate(filler.tell() - leaving * KIB)

    def empty(self) -> None:
        self._filler.unlink()


@pytest.fixture
def disk() -> Iterator[Disk]:
    # A socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="lamina-full-") as place:
        mount = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=0755", "lamina", place]
        subprocess.run(mount, check=True)
        try:
            yield Disk(Path(place))
        finally:
            subprocess.run(["umount", place], check=True)


async def nothing_is_left(engine: ImageApi, root: Path) -> None:
    await engine.image_prune(filters={"dangling": False})
    left = look_at(root)
    left.check_tidy()
    assert left.blobs == frozenset()


async def test_a_load(disk: Disk) -> None:
    root = disk.path / "root"
    loaded = 0
    for room in ROOM:
        # Opened anew: a log of SQLite's that has grown would leave it room of its own.
        async with Engine.open(root) as engine:
            disk.fill(leaving=room)
            try:
                await load(engine, ARCHIVE)
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017 - either outcome is right
                assert look_at(root).images == frozenset()
            else:
                loaded += 1
                assert look_at(root).images == {IMAGE.id}
            disk.empty()
            await nothing_is_left(engine, root)
            assert await load(engine, ARCHIVE) == ["full:1"]
            look_at(root).check_tidy()
            await nothing_is_left(engine, root)
    assert 0 < loaded < len(ROOM)


async def test_a_pull(disk: Disk, registry: Registry, tmp_path: Path) -> None:
    root = disk.path / "root"
    name = f"{registry.address}/full/pulled:1"
    async with Engine.open(tmp_path) as other:
        await load(other, tar_of(docker_archive((IMAGE, [name]))))
        await other.image_push(name)
    pulled = 0
    for room in ROOM:
        async with Engine.open(root) as engine:
            disk.fill(leaving=room)
            try:
                await engine.image_create(from_image=name)
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017 - either outcome is right
                assert look_at(root).images == frozenset()
            else:
                pulled += 1
            disk.empty()
            # What came is kept for this one to go on with.
            await engine.image_create(from_image=name)
            assert look_at(root).images == {IMAGE.id}
            look_at(root).check_tidy()
            await nothing_is_left(engine, root)
    assert 0 < pulled < len(ROOM)


async def test_a_daemon_says_so(disk: Disk) -> None:
    daemon = LaminaDaemon(disk.path)
    daemon.start()
    try:
        async with Client.connect(daemon.host) as client:
            disk.fill(leaving=512)
            with pytest.raises(EngineError, match=r"^no space left on device$"):
                await client.image_load(pieces(ARCHIVE))
            assert await client.image_list(all=True) == []
            disk.empty()
            await nothing_is_left(client, daemon.root)
            assert await client.image_load(pieces(ARCHIVE)) == ["full:1"]
    finally:
        daemon.stop()
    look_at(daemon.root).check_tidy()
