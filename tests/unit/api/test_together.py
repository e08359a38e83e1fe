import asyncio
from collections.abc import AsyncIterator

import pytest

from lamina.api.together import send_together


class Client:
    """Takes what is written; as slowly as `slow` says."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.slow: asyncio.Event | None = None
        self.written = asyncio.Event()

    async def write(self, data: bytes) -> None:
        self.writes.append(data)
        self.written.set()
        if self.slow is not None:
            await self.slow.wait()


async def many(count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield b"%d," % number


async def test_what_comes_at_once_is_sent_at_once() -> None:
    client = Client()
    await send_together(many(100_000), client.write, asyncio.Event())
    assert b"".join(client.writes) == b"".join([piece async for piece in many(100_000)])
    assert len(client.writes) < 10


async def test_no_piece_waits_for_the_next() -> None:
    client, more = Client(), asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        await more.wait()
        assert client.writes == [b"first"]
        yield b"second"

    sending = asyncio.create_task(send_together(pieces(), client.write, asyncio.Event()))
    await client.written.wait()
    more.set()
    await sending
    assert client.writes == [b"first", b"second"]


async def test_little_is_collected_for_a_slow_client() -> None:
    client, taken = Client(), 0
    client.slow = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 10_000

    stopping = asyncio.Event()
    sending = asyncio.create_task(send_together(pieces(), client.write, stopping))
    await asyncio.wait({sending}, timeout=0.1)
    assert 1 < taken < 100
    stopping.set()
    await sending


async def test_what_goes_wrong_is_said() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"1"
        raise ValueError("torn")

    client = Client()
    with pytest.raises(ValueError, match="torn"):
        await send_together(broken(), client.write, asyncio.Event())
    assert client.writes == [b"1"]

    async def gone(_: bytes) -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await send_together(many(10), gone, asyncio.Event())
