"""A daemon whose client leaves, or that is killed, in the middle of a pull."""

import asyncio
import fcntl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.client import Client
from lamina.engine import Engine
from lamina.errors import LaminaError
from lamina.progress import LayerProgress
from tests.real.lamina_daemon import LaminaDaemon
from tests.real.registry import Registry
from tests.registry.faults import Fault, FaultProxy
from tests.transfer.images_in_registry import image_of, put_image

MIB = 1 << 20
BLOB = r"^GET .*/blobs/"


@pytest.fixture
def daemon() -> Iterator[LaminaDaemon]:
    with tempfile.TemporaryDirectory(prefix="lamina-pull-") as directory:
        running = LaminaDaemon(Path(directory))
        running.start()
        yield running
        running.stop()


async def arrived(daemon: LaminaDaemon, size: int) -> Path:
    """The one ingest of the daemon, once it has so many bytes."""
    ingests = daemon.root / "content" / "ingest"
    while not any(path.stat().st_size >= size for path in ingests.glob("*/data")):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    (found,) = ingests.glob("*/data")
    return found


async def released(path: Path) -> None:
    """Return when the daemon has let go of an ingest, which stays."""
    with path.open("rb+") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(0.01)
    assert path.exists()  # noqa: ASYNC240


async def test_kill(
    daemon: LaminaDaemon, other: Engine, proxy: FaultProxy, registry: Registry
) -> None:
    image = image_of(3_300_000, seed="killed")
    await put_image(other, image, f"{registry.address}/k/killed:1")
    name = f"{proxy.address}/k/killed:1"
    # The manifest is 1 KB, the configuration too: only the layer reaches this far.
    proxy.faults = [Fault(on=BLOB, stall=2 * MIB, times=2)]
    async with Client.connect(daemon.host) as client:
        pulling = asyncio.ensure_future(drained(client, name))
        await arrived(daemon, MIB)
        daemon.kill()
        with pytest.raises(LaminaError):
            await pulling
    daemon.start()
    proxy.seen.clear()
    async with Client.connect(daemon.host) as client:
        await client.image_create(from_image=name)
        assert (await client.image_inspect(name)).id == image.id
    (asked,) = [seen for seen in proxy.requests(BLOB) if "Range" in seen.headers]
    assert int(asked.headers["Range"][6:-1]) >= MIB


async def test_hang_up(
    daemon: LaminaDaemon, other: Engine, proxy: FaultProxy, registry: Registry
) -> None:
    """Who hangs up cancels; the bytes stay, and nobody holds them."""
    image = image_of(3_400_000, seed="hung up")
    await put_image(other, image, f"{registry.address}/k/hang:1")
    name = f"{proxy.address}/k/hang:1"
    proxy.faults = [Fault(on=BLOB, stall=2 * MIB, times=2)]
    async with Client.connect(daemon.host) as client:
        pulling = asyncio.ensure_future(drained(client, name))
        kept = await arrived(daemon, MIB)
        pulling.cancel()
        await asyncio.wait({pulling})
        await released(kept)
        started = [
            event.action
            async for event in client.image_create(from_image=name)
            if isinstance(event, LayerProgress)
        ]
        assert started[0] == "Pulling fs layer"
        assert (await client.image_inspect(name)).id == image.id
    asked = [seen for seen in proxy.requests(BLOB) if "Range" in seen.headers]
    assert len(asked) == 1


async def drained(client: Client, name: str) -> str:
    return await client.image_create(from_image=name)
