import asyncio
import threading
from collections.abc import Iterator

import pytest

from lamina.containers.archive import TarStream


async def test_who_stops_reading_waits_for_who_is_at_work_for_him() -> None:
    """He closes the directory that is being read."""
    loop, at_work, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def pieces() -> Iterator[bytes]:
        loop.call_soon_threadsafe(at_work.set)
        go_on.wait()
        yield b"x"

    async def read() -> None:
        async for _ in TarStream(pieces()):
            pass

    reading = asyncio.create_task(read())
    await at_work.wait()
    reading.cancel()
    try:
        done, _ = await asyncio.wait({reading}, timeout=0.05)
        assert not done
    finally:
        go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await reading
