"""What a process writes, handed to all who listen at that moment, and kept in between by nobody."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol

from lamina.runtime.stdio import Outlet
from lamina.streams import Frame

__all__ = ["Broadcast", "Subscription", "Writes"]

_WAITING: Final = 64
"""Pieces that a listener may be behind; then the process waits for it, as with dockerd."""
_STREAMS: Final = 2


class Writes(Protocol):
    """A running process, as far as it writes."""

    @property
    def stdout(self) -> Outlet:
        """Its output."""

    @property
    def stderr(self) -> Outlet | None:
        """Its errors; None if they are in its output."""


class Subscription:
    """What one listener has still to read. Whoever ends listening closes it."""

    def __init__(self, *, stdout: bool, stderr: bool) -> None:
        self._wanted = {1: stdout, 2: stderr}
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(_WAITING)
        self._closed = False

    async def put(self, frame: Frame) -> None:
        """Hand over the next piece; waits for room."""
        if self._wanted[frame.stream] and not self._closed:
            await self._room.acquire()
            self._frames.put_nowait(frame)

    def end(self) -> None:
        """Nothing more will come."""
        self._frames.put_nowait(None)

    def close(self) -> None:
        """Listen no more: who waits to hand something over need not wait any longer."""
        self._closed = True
        for _ in range(_STREAMS):
            self._room.release()

    async def __aiter__(self) -> AsyncIterator[Frame]:
        while (frame := await self._frames.get()) is not None:
            self._room.release()
            yield frame


class Broadcast:
    """The listeners of one container or exec, before it runs and while it does."""

    def __init__(self) -> None:
        self._listeners: set[Subscription] = set()

    def subscribe(self, *, stdout: bool = True, stderr: bool = True) -> Subscription:
        """Begin to listen."""
        subscription = Subscription(stdout=stdout, stderr=stderr)
        self._listeners.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """End listening."""
        self._listeners.discard(subscription)
        subscription.close()

    async def pump(
        self, process: Writes, keep: Callable[[int, bytes], None] = lambda _, __: None
    ) -> None:
        """Hand on all that a process writes, to `keep` first, until both its streams have ended."""

        async def one(stream: int, outlet: Outlet) -> None:
            while data := await outlet.read():
                keep(stream, data)
                for listener in list(self._listeners):
                    await listener.put(Frame(stream, data))

        async with asyncio.TaskGroup() as group:
            group.create_task(one(1, process.stdout))
            if process.stderr is not None:
                group.create_task(one(2, process.stderr))

    def end(self) -> None:
        """Tell all listeners that nothing more will come."""
        for listener in self._listeners:
            listener.end()
        self._listeners.clear()
