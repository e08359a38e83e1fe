import asyncio
import os

from lamina.containers.broadcast import Broadcast
from lamina.runtime.stdio import Inlet, Outlet
from lamina.streams import Frame


class Pipe:
    """A process's output, without the process."""

    def __init__(self) -> None:
        read, write = os.pipe()
        self.stdout, self.inlet = Outlet(read), Inlet(write)
        self.stderr = None

    def close(self) -> None:
        self.stdout.close()
        self.inlet.close()


async def test_all_who_listen_get_all_that_is_written_meanwhile() -> None:
    broadcast, pipe = Broadcast(), Pipe()
    kept: list[bytes] = []
    first, silent = broadcast.subscribe(), broadcast.subscribe(stdout=False)
    pumping = asyncio.create_task(broadcast.pump(pipe, lambda _, data: kept.append(data)))
    await pipe.inlet.write(b"one")
    frames = aiter(first)
    assert await anext(frames) == Frame(1, b"one")
    second = broadcast.subscribe()
    await pipe.inlet.write(b"two")
    assert await anext(frames) == Frame(1, b"two")
    pipe.inlet.close()
    await pumping
    broadcast.end()
    assert [frame async for frame in second] == [Frame(1, b"two")]
    assert [frame async for frame in silent] == []
    assert kept == [b"one", b"two"]
    pipe.close()


async def test_a_slow_listener_holds_the_process_up_until_it_leaves() -> None:
    broadcast, pipe = Broadcast(), Pipe()
    slow = broadcast.subscribe()
    pumping = asyncio.create_task(broadcast.pump(pipe))
    writing = asyncio.create_task(pipe.inlet.write(b"x" * (64 << 20)))
    done, _ = await asyncio.wait({writing}, timeout=0.5)
    assert not done
    broadcast.unsubscribe(slow)
    await writing
    pipe.inlet.close()
    await pumping
    pipe.close()
