"""Attaching by WebSocket, with a real client of it."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.unit.api.conftest import Served
from tests.unit.api.wire import Wire

ATTACH = "/containers/{}/attach/ws?stream=1&stdin=1&stdout=1&stderr=1"
HANDSHAKE = (
    "Connection: keep-alive, Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)


@pytest.fixture
async def session(served: Served) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.UnixConnector(str(served.path))
    async with aiohttp.ClientSession("http://d", connector=connector) as session:
        yield session


async def test_both_outputs_come_as_they_are(
    served: Served, session: aiohttp.ClientSession
) -> None:
    async with session.ws_connect(ATTACH.format("c")) as socket:
        await socket.send_bytes(b"hello")
        assert await socket.receive_bytes() == b"hello"
        assert await socket.receive_bytes() == b"heard\n"
        await socket.send_str("text too")
        assert await socket.receive_bytes() == b"text too"
        assert await socket.receive_bytes() == b"heard\n"
        served.engine.program("c").end()
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    assert socket.close_code == 1000
    assert served.engine.calls == [("attach", ("c", True, True, True, True, False))]


async def test_who_takes_leave_is_answered_and_heard_to_the_end(
    served: Served, session: aiohttp.ClientSession
) -> None:
    async with session.ws_connect(ATTACH.format("c")) as socket:
        await socket.ping(b"there?")
        await socket.send_bytes(b"x" * 200_000)
        await socket.close(code=1001)
        assert socket.close_code == 1001
    program = served.engine.program("c")
    await program.input_ended.wait()
    assert b"".join(program.heard) == b"x" * 200_000


async def test_the_detach_keys_let_go_of_a_terminal(
    served: Served, session: aiohttp.ClientSession
) -> None:
    async with session.ws_connect(f"{ATTACH.format('tty')}&detachKeys=ctrl-a,b") as socket:
        await socket.send_bytes(b"x\x01b")
        assert await socket.receive_bytes() == b"x"
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    assert not served.engine.program("tty").input_ended.is_set()


async def test_old_clients_have_all_streams_and_text(
    served: Served, session: aiohttp.ClientSession
) -> None:
    async with session.ws_connect("/v1.27/containers/tty/attach/ws?stream=1") as socket:
        served.engine.program("tty").say(1, b"said")
        assert await socket.receive_str() == "said"
    assert served.engine.calls == [("attach", ("tty", True, True, True, True, False))]


async def test_a_client_that_breaks_the_rules_is_told_so(wire: Wire) -> None:
    await wire.request("GET", ATTACH.format("c"), *HANDSHAKE)
    reply = await wire.head()
    assert reply.status == 101
    assert reply.headers["upgrade"] == "websocket"
    assert reply.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    await wire.send(b"\x81\x05Hello")
    assert (await wire.reader.read()).endswith(b"\x88\x02\x03\xea")


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ((), "not websocket protocol"),
        (("Upgrade: websocket",), "not websocket protocol"),
        (("Upgrade: tcp", *HANDSHAKE[:1]), "not websocket protocol"),
        (HANDSHAKE[:2], "mismatch challenge/response"),
        (HANDSHAKE[:3], "missing or bad WebSocket Version"),
        ((*HANDSHAKE[:3], "Sec-WebSocket-Version: 8"), "missing or bad WebSocket Version"),
    ],
)
async def test_what_is_no_handshake(wire: Wire, headers: tuple[str, ...], message: str) -> None:
    reply = await wire.ask("GET", ATTACH.format("c"), *headers)
    assert (reply.status, reply.message) == (400, message)


async def test_a_missing_container_is_told_as_a_status(wire: Wire) -> None:
    reply = await wire.ask("GET", ATTACH.format("gone"), *HANDSHAKE)
    assert (reply.status, reply.message) == (404, "No such container: gone")
