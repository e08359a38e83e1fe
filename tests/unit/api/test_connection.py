import asyncio
import socket

from lamina.api.connection import HEAD_TIMEOUT, MAX_HEAD
from tests.unit.api.conftest import Served
from tests.unit.api.test_archives import eventually
from tests.unit.api.wire import Wire, connect


async def test_a_connection_is_kept(wire: Wire) -> None:
    for _ in range(3):
        reply = await wire.ask("GET", "/_ping")
        assert reply.body == b"OK"
        assert "connection" not in reply.headers


async def test_pipelined_requests_are_answered_in_order(served: Served, wire: Wire) -> None:
    served.engine.add("x:latest", b"tar!")
    count = 200
    await wire.send(
        b"".join(
            b"GET %b HTTP/1.1\r\nHost: d\r\n\r\n" % path
            for _ in range(count)
            for path in (b"/_ping", b"/images/x/get")
        )
    )
    for _ in range(count):
        assert (await wire.reply()).body == b"OK"
        assert (await wire.reply()).body == b"tar!"


async def test_a_request_in_pieces(wire: Wire) -> None:
    for byte in b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n":
        await wire.send(bytes([byte]))
        await asyncio.sleep(0)
    assert (await wire.reply()).body == b"OK"


async def test_a_client_may_ask_to_close(wire: Wire) -> None:
    reply = await wire.ask("GET", "/_ping", "Connection: close")
    assert reply.headers["connection"] == "close"
    assert await wire.at_end()


async def test_http_1_0_ends_with_the_connection(served: Served, wire: Wire) -> None:
    served.engine.add("x:latest", b"tar!", b"more")
    await wire.send(b"GET /images/get?names=x HTTP/1.0\r\n\r\n")
    reply = await wire.reply()
    assert "transfer-encoding" not in reply.headers
    assert (reply.status, reply.body) == (200, b"tar!more")


async def test_a_client_that_closes_its_side_still_gets_its_answer(served: Served) -> None:
    async with connect(served.path) as wire:
        await wire.request("GET", "/_ping")
        wire.writer.write_eof()
        assert (await wire.reply()).body == b"OK"
        assert await wire.at_end()


async def test_a_client_that_closes_its_side_does_not_hold_a_handler(served: Served) -> None:
    served.engine.loads = asyncio.Semaphore(0)
    async with connect(served.path) as wire:
        await wire.request("POST", "/images/load", body=b"tar!")
        await eventually(lambda: bool(served.engine.calls))
        wire.writer.write_eof()
        assert await wire.at_end()
        await eventually(lambda: served.engine.cancelled == ["image_load"])
        await eventually(lambda: not served.server.connections)


async def test_a_client_gone_before_its_request_is_looked_at(served: Served) -> None:
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(served.path))
            sock.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
    await eventually(lambda: bool(served.server.connections))
    await eventually(lambda: not served.server.connections)


async def test_a_request_line_too_long(served: Served) -> None:
    async with connect(served.path) as wire:
        await wire.send(b"GET /" + b"x" * (1 << 21))
        assert (await wire.reply()).status == 400
        assert await wire.at_end()


async def test_headers_without_end(served: Served) -> None:
    async with connect(served.path) as wire:
        await wire.send(b"GET /_ping HTTP/1.1\r\nHost: d\r\nX: ")
        for _ in range(MAX_HEAD >> 16):
            await wire.send(b"y" * (1 << 16))
        assert (await wire.reply()).status in {400, 431}
        assert await wire.at_end()


async def test_headers_without_end_behind_a_request(served: Served) -> None:
    async with connect(served.path) as wire:
        await wire.request("GET", "/events")
        await wire.head()
        await wire.send(b"GET /_ping HTTP/1.1\r\nHost: d\r\n")
        (connection,) = served.server.connections
        for number in range(MAX_HEAD >> 16):
            await wire.send(b"X-%d: %b\r\n" % (number, b"y" * (1 << 16)))
        await eventually(lambda: connection.closing)
        await served.engine.happen("tag", "x")
        assert b'"Action":"tag"' in await wire.chunk()


async def test_what_is_not_http(served: Served) -> None:
    for nonsense in (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET /_ping HTTP/1.1\r\n\r\n"):
        async with connect(served.path) as wire:
            await wire.send(nonsense)
            reply = await wire.reply()
            assert (reply.status, reply.headers["connection"]) == (400, "close")
            assert await wire.at_end()


async def test_a_head_that_does_not_come_ends_the_connection(served: Served) -> None:
    now = asyncio.get_running_loop().time()
    async with connect(served.path) as idle, connect(served.path) as slow:
        assert (await idle.ask("GET", "/_ping")).body == b"OK"
        await slow.send(b"GET /_ping HT")
        await eventually(lambda: len(served.server.connections) == 2)
        # The server's clock, as it would be later.
        for connection in list(served.server.connections):
            connection.close_if_late(now + HEAD_TIMEOUT - 1)
        assert (await idle.ask("GET", "/_ping")).body == b"OK"
        for connection in list(served.server.connections):
            connection.close_if_late(now + HEAD_TIMEOUT + 10)
        assert await slow.at_end()
        assert (await idle.ask("GET", "/_ping")).body == b"OK"


async def test_an_idle_stream_is_never_late(served: Served, wire: Wire) -> None:
    await wire.request("GET", "/events")
    await wire.head()
    (connection,) = served.server.connections
    connection.close_if_late(asyncio.get_running_loop().time() + 1e6)
    await served.engine.happen("tag", "x")
    assert b'"Action":"tag"' in await wire.chunk()


async def test_a_small_unread_body_is_skipped(wire: Wire) -> None:
    reply = await wire.ask("POST", "/images/prune", body=b"x" * 100_000)
    assert reply.status == 200
    assert (await wire.ask("GET", "/_ping")).body == b"OK"


async def test_a_body_with_a_get_is_skipped(wire: Wire) -> None:
    assert (await wire.ask("GET", "/_ping", body=b"x" * 1000)).body == b"OK"
    assert (await wire.ask("GET", "/_ping")).body == b"OK"


async def test_an_upgrade_is_declined_and_the_connection_closed(served: Served) -> None:
    async with connect(served.path) as wire:
        reply = await wire.ask("POST", "/grpc", "Connection: Upgrade", "Upgrade: h2c")
        assert (reply.status, reply.message) == (
            501,
            "lamina does not implement BuildKit's protocol yet",
        )


async def test_connections_are_forgotten(served: Served) -> None:
    async with connect(served.path) as wire:
        await wire.ask("GET", "/_ping")
        assert len(served.server.connections) == 1
    await eventually(lambda: not served.server.connections)


async def test_a_client_that_resets_does_no_harm(served: Served) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(0)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, str(served.path))
        await loop.sock_sendall(sock, b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n" * 100)
    await eventually(lambda: not served.server.connections)
    async with connect(served.path) as wire:
        assert (await wire.ask("GET", "/_ping")).body == b"OK"
