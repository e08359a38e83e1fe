import logging
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from lamina.api.server import Server
from tests.unit.api.memory import MemoryEngine
from tests.unit.api.wire import Wire, connect


@dataclass
class Served:
    """A server on a socket, and the engine that it serves."""

    engine: MemoryEngine
    server: Server
    path: Path


@pytest.fixture
def socket_directory() -> Iterator[Path]:
    # Not tmp_path: a unix socket's path must stay below 108 bytes.
    directory = Path(tempfile.mkdtemp(prefix="lamina-api-"))
    yield directory
    shutil.rmtree(directory)


@pytest_asyncio.fixture
async def served(socket_directory: Path) -> AsyncIterator[Served]:
    path = socket_directory / "s"
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    engine = MemoryEngine()
    server = Server(engine, version="1.2.3", log=logging.getLogger("test"))
    await server.listen(sock)
    yield Served(engine, server, path)
    await server.stop(timeout=5)


@pytest_asyncio.fixture
async def wire(served: Served) -> AsyncIterator[Wire]:
    async with connect(served.path) as wire:
        yield wire
