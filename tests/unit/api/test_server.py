import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from lamina.api.server import Server
from lamina.models import ImageInspect
from tests.unit.api.conftest import Served
from tests.unit.api.memory import MemoryEngine
from tests.unit.api.test_archives import eventually
from tests.unit.api.wire import Wire, connect


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nosuch"), ("PUT", "/images/json"), ("GET", "/v1.44/nosuch")]
)
async def test_unknown_paths_and_methods(wire: Wire, method: str, path: str) -> None:
    reply = await wire.ask(method, path)
    assert (reply.status, reply.body) == (404, b'{"message":"page not found"}\n')
    # As dockerd has it, where what tells of the server belongs to what it serves.
    assert set(reply.headers) == {"content-type", "content-length", "date"}


async def test_a_head_for_what_has_none(wire: Wire) -> None:
    reply = await wire.ask("HEAD", "/images/json")
    assert (reply.status, reply.headers["content-length"]) == (404, "29")
    assert (await wire.ask("GET", "/_ping")).body == b"OK"


async def test_versions_that_are_not_served(wire: Wire) -> None:
    reply = await wire.ask("GET", "/v1.99/version")
    assert (reply.status, reply.headers["api-version"]) == (400, "1.44")
    assert "docker-experimental" not in reply.headers
    assert "too new" in reply.message
    reply = await wire.ask("GET", "/v1.11/version")
    assert (reply.status, reply.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.body.startswith(b"client version 1.11 is too old.")


class Broken(MemoryEngine):
    """An engine with a mistake in it, and a disk that is full."""

    async def image_inspect(self, name: str) -> ImageInspect:
        if name == "full":
            raise OSError(28, "No space left on device")
        raise KeyError(name)


async def test_a_mistake_of_ours_is_a_500_and_is_logged(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    path = served.path.with_name("b")
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    server = Server(Broken(), version="1", log=logging.getLogger("test"))
    await server.listen(sock)
    async with connect(path) as wire:
        reply = await wire.ask("GET", "/images/full/json")
        assert (reply.status, reply.message) == (500, "no space left on device")
        assert (await wire.ask("GET", "/images/x/json")).status == 500
        assert (await wire.ask("GET", "/_ping")).body == b"OK"
    await server.stop(timeout=5)
    assert "GET /images/full/json failed" in caplog.text


async def test_stopping_lets_a_request_end(served: Served, wire: Wire) -> None:
    served.engine.loads = asyncio.Semaphore(0)
    await wire.request("POST", "/images/load", body=b"tar!")
    await eventually(lambda: bool(served.engine.calls))
    async with connect(served.path) as idle:
        await idle.ask("GET", "/_ping")
        stopping = asyncio.create_task(served.server.stop(timeout=30))
        assert await idle.at_end()
    # Since Python 3.13 the socket goes as well.
    with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        await asyncio.open_unix_connection(served.path)
    served.engine.loads.release()
    reply = await wire.reply()
    assert b"Loaded image" in reply.body
    assert await wire.at_end()
    await stopping


async def test_stopping_cancels_what_does_not_end(served: Served, wire: Wire) -> None:
    served.engine.loads = asyncio.Semaphore(0)
    await wire.request("POST", "/images/load", body=b"tar!")
    await eventually(lambda: bool(served.engine.calls))
    await served.server.stop(timeout=0.5)
    assert served.engine.cancelled == ["image_load"]
    assert await wire.at_end()


async def test_stopping_ends_streams_of_events_properly(served: Served, wire: Wire) -> None:
    await wire.request("GET", "/events")
    await wire.head()
    await served.engine.happen("tag", "x")
    assert await wire.chunk()
    await served.server.stop(timeout=30)
    assert await wire.chunk() == b""
    assert await wire.at_end()
    assert served.engine.cancelled == ["system_events"]


@pytest_asyncio.fixture
async def guarded(socket_directory: Path) -> AsyncIterator[Wire]:
    path = socket_directory / "g"
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    server = Server(MemoryEngine(), version="1", log=logging.getLogger("test"))
    await server.listen(sock, guarded=True)
    async with connect(path) as wire:
        yield wire
    await server.stop(timeout=5)


@pytest.mark.parametrize(
    "host",
    ["localhost:2375", "127.0.0.1:2375", "127.0.0.2:2375", "[::1]:2375", "localhost", "[::1]"],
)
async def test_local_clients_are_served_on_a_guarded_port(guarded: Wire, host: str) -> None:
    await guarded.send(f"GET /_ping HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert (await guarded.reply()).status == 200


async def test_who_names_the_server_as_the_origin_is_no_page_of_another(guarded: Wire) -> None:
    host = "Host: localhost:2375\r\nOrigin: http://localhost:2375\r\n"
    await guarded.send(f"GET /_ping HTTP/1.1\r\n{host}\r\n".encode())
    assert (await guarded.reply()).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        "Host: evil.example:2375\r\n",
        "Host: 10.0.0.1:2375\r\n",
        "Host: 127.0.0.1.evil.example\r\n",
        "Host: localhost:2375\r\nOrigin: http://evil.example\r\n",
        "Host: localhost:2375\r\nOrigin: null\r\n",
        "Host: localhost:2375\r\nOrigin: http://localhost:8080\r\n",
        "Host: localhost:2375\r\nOrigin: http://127.0.0.1:2375\r\n",
        "Host: evil.example:2375\r\nOrigin: http://evil.example:2375\r\n",
        "Host: \r\n",
    ],
)
async def test_web_pages_are_not(guarded: Wire, headers: str) -> None:
    await guarded.send(f"POST /images/prune HTTP/1.1\r\n{headers}\r\n".encode())
    reply = await guarded.reply()
    assert (reply.status, reply.message) == (403, "requests of web pages are not served here")
