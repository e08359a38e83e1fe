import asyncio
from collections.abc import Callable

import pytest

from lamina.api.connection import READ_BUFFER, WRITE_BUFFER
from tests.unit.api.conftest import Served
from tests.unit.api.memory import Image
from tests.unit.api.wire import Wire, connect


async def test_save_says_how_long_it_is(served: Served, wire: Wire) -> None:
    served.engine.add("x:latest", b"tar!", b"more")
    reply = await wire.ask("GET", "/images/x/get")
    assert reply.headers["content-type"] == "application/x-tar"
    assert reply.headers["content-length"] == "8"
    assert reply.body == b"tar!more"


async def test_save_of_several_names(served: Served, wire: Wire) -> None:
    served.engine.add("x:latest", b"tar!")
    served.engine.add("y:1", b"more")
    reply = await wire.ask("GET", "/images/get?names=x&names=y%3A1")
    assert reply.chunks == [b"tar!", b"more"]
    assert served.engine.calls == [("image_get_all", ["x", "y:1"])]


async def test_save_of_ten_thousand_names(served: Served, wire: Wire) -> None:
    names = [f"registry.example:5000/team/project/image-{n}:latest" for n in range(10_000)]
    for name in names:
        served.engine.tags[name] = "sha256:a"
    served.engine.images["sha256:a"] = Image("sha256:a", 1, [b"x"])
    reply = await wire.ask("GET", f"/images/get?{'&'.join('names=' + name for name in names)}")
    assert (reply.status, reply.body) == (200, b"x" * 10_000)


async def test_an_archive_shorter_than_announced_is_cut_off(served: Served, wire: Wire) -> None:
    served.engine.add("x:latest", b"tar!").size = 100
    await wire.request("GET", "/images/x/get")
    head = await wire.head()
    assert head.headers["content-length"] == "100"
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await wire.reader.readexactly(100)


async def test_an_archive_longer_than_announced_is_cut_off(served: Served, wire: Wire) -> None:
    served.engine.add("x:latest", b"tar!", b"y" * 100).size = 50
    await wire.request("GET", "/images/x/get")
    assert (await wire.head()).headers["content-length"] == "50"
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await wire.reader.readexactly(50)


async def eventually(true: Callable[[], bool]) -> None:
    """Wait until something that other tasks do has been done; pytest's timeout is the limit."""
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0)


class Endless(list[bytes]):
    """As many chunks as are asked for; counts them."""

    taken = 0

    def __iter__(self) -> "Endless":
        return self

    def __next__(self) -> bytes:
        self.taken += 1
        return b"\0" * (1 << 20)


async def test_a_slow_reader_holds_the_archive_up(served: Served) -> None:
    chunks = Endless()
    served.engine.images["sha256:big"] = Image("sha256:big", 1 << 40, chunks)
    async with connect(served.path) as wire:
        await wire.request("GET", "/images/sha256:big/get")
        await wire.head()
        # Other requests are served all the while; after them the archive would have run ahead.
        async with connect(served.path) as other:
            for _ in range(50):
                assert (await other.ask("GET", "/_ping")).body == b"OK"
        in_flight = chunks.taken << 20
        # What the server may hold, and what two sockets' and the reader's buffers hold.
        assert in_flight <= WRITE_BUFFER + (12 << 20)
        await wire.reader.readexactly(64 << 20)
        assert chunks.taken >= 64
    await eventually(lambda: served.engine.cancelled == ["image_get"])


async def test_load(served: Served, wire: Wire) -> None:
    reply = await wire.ask("POST", "/images/load?quiet=1", body=b"tar!rest")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.chunks == [b'{"stream":"Loaded image: loaded:1\\n"}\r\n']
    assert served.engine.calls == [("image_load", True)]


async def test_load_is_quiet_unless_told(served: Served, wire: Wire) -> None:
    await wire.ask("POST", "/images/load", body=b"tar!")
    await wire.ask("POST", "/images/load?quiet=0", body=b"tar!")
    assert [quiet for name, quiet in served.engine.calls] == [True, False]


async def test_one_message_is_one_chunk(wire: Wire) -> None:
    reply = await wire.ask("POST", "/images/load?quiet=0", body=b"tar!")
    assert len(reply.chunks) == 2
    assert all(chunk.endswith(b"}\r\n") for chunk in reply.chunks)


async def test_an_archive_that_is_none_is_an_error_in_the_stream(wire: Wire) -> None:
    for body in (b"nonsense", b""):
        reply = await wire.ask("POST", "/images/load", body=body)
        assert reply.status == 200
        assert reply.json() == {
            "errorDetail": {"message": "unrecognized image format"},
            "error": "unrecognized image format",
        }


async def test_load_of_a_chunked_body(served: Served, wire: Wire) -> None:
    await wire.request("POST", "/images/load", "Transfer-Encoding: chunked")
    for chunk in (b"tar!", b"x" * 70_000, b"y"):
        await wire.send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
    await wire.send(b"0\r\n\r\n")
    assert b"Loaded image" in (await wire.reply()).body
    assert served.engine.received == 70_005
    # The connection goes on.
    assert (await wire.ask("GET", "/_ping")).body == b"OK"


async def test_a_body_that_is_waited_for(wire: Wire) -> None:
    await wire.request("POST", "/images/load", "Content-Length: 8", "Expect: 100-continue")
    assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    await wire.send(b"tar!rest")
    assert b"Loaded image" in (await wire.reply()).body


async def test_a_body_that_is_not_wanted_is_not_asked_for(wire: Wire) -> None:
    reply = await wire.ask(
        "POST", "/images/create?fromImage=scratch", "Content-Length: 8", "Expect: 100-continue"
    )
    assert (reply.status, reply.headers["connection"]) == (403, "close")
    assert await wire.at_end()


async def test_broken_chunks_are_an_error_in_the_stream(served: Served, wire: Wire) -> None:
    await wire.request("POST", "/images/load", "Transfer-Encoding: chunked")
    await wire.send(b"4\r\ntar!\r\n")
    await eventually(lambda: served.engine.received == 4)
    await wire.send(b"nonsense\r\n")
    reply = await wire.reply()
    assert reply.status == 200
    assert "errorDetail" in reply.json()
    assert await wire.at_end()


async def test_a_slow_load_holds_the_client_up(served: Served) -> None:
    served.engine.loads = asyncio.Semaphore(1)
    async with connect(served.path) as wire:
        await wire.request("POST", "/images/load", f"Content-Length: {64 << 20}")
        wire.writer.write(b"tar!" + b"\0" * ((64 << 20) - 4))
        async with connect(served.path) as other:
            for _ in range(50):
                assert (await other.ask("GET", "/_ping")).body == b"OK"
        transport = wire.writer.transport
        # Most of it still lies with the client.
        assert transport.get_write_buffer_size() > (64 << 20) - 2 * READ_BUFFER - (8 << 20)
        for _ in range(10_000):
            served.engine.loads.release()
        assert b"Loaded image" in (await wire.reply()).body
        assert served.engine.received == 64 << 20


async def test_a_client_that_leaves_cancels_its_load(served: Served) -> None:
    async with connect(served.path) as wire:
        await wire.request("POST", "/images/load", "Content-Length: 1000000")
        await wire.send(b"tar!")
        await eventually(lambda: served.engine.received == 4)
    await eventually(lambda: served.engine.cancelled == ["image_load"])
    assert served.engine.images == {}


async def test_import(served: Served, wire: Wire) -> None:
    path = (
        "/v1.44/images/create?fromSrc=-&repo=r&tag=t&message=m&platform=linux/arm64"
        "&changes=CMD%20a&changes=ENV%20b%3Dc"
    )
    reply = await wire.ask("POST", path, body=b"layer")
    (image,) = served.engine.images
    assert reply.chunks == [b'{"status":"%b"}\r\n' % image.encode()]
    assert served.engine.calls == [
        ("image_create", ("-", "r", "t", "m", ["CMD a", "ENV b=c"], "linux/arm64"))
    ]


async def test_the_platform_of_an_import_is_not_known_before_1_32(
    served: Served, wire: Wire
) -> None:
    await wire.ask("POST", "/v1.31/images/create?fromSrc=-&platform=linux/arm64", body=b"x")
    assert served.engine.calls == [("image_create", ("-", "", "", "", [], ""))]


async def test_an_import_that_fails_before_its_first_message_is_a_status(wire: Wire) -> None:
    reply = await wire.ask("POST", "/images/create?fromSrc=-&repo=Foo", body=b"layer")
    assert (reply.status, reply.message) == (
        400,
        "invalid reference format: repository name must be lowercase",
    )
    # The little that nobody read was skipped.
    assert (await wire.ask("GET", "/_ping")).body == b"OK"


async def test_an_import_refused_while_its_body_is_on_the_way(served: Served) -> None:
    async with connect(served.path) as wire:
        await wire.request(
            "POST", "/images/create?fromSrc=-&repo=Foo", f"Content-Length: {32 << 20}"
        )
        sending = asyncio.create_task(wire.send(b"\0" * (32 << 20)))
        reply = await wire.reply()
        assert (reply.status, reply.headers["connection"]) == (400, "close")
        # A client that reads nothing before it has sent everything is heard out.
        await sending
        assert await wire.at_end()


async def test_pull(served: Served, wire: Wire) -> None:
    target = "/images/create?fromImage=busybox&tag=1&platform=linux/arm64&fromSrc=-"
    headers = ("X-Registry-Auth: e30=", "x-META-Build: 7", "X-Metal: 8")
    reply = await wire.ask("POST", target, *headers)
    assert reply.body == b'{"status":"Pulling from busybox","id":"1"}\r\n'
    assert served.engine.calls == [
        ("image_create", ("busybox", "1", "linux/arm64", "e30=", {"Build": "7"})),
    ]


async def test_a_pull_that_fails_at_once_is_an_http_error(wire: Wire) -> None:
    reply = await wire.ask("POST", "/images/create?fromImage=scratch")
    assert (reply.status, reply.message) == (403, "'scratch' is a reserved name")


async def test_neither_pull_nor_import(wire: Wire) -> None:
    assert (await wire.ask("POST", "/images/create")).status == 400
