"""Work on blobs that several operations may want at once: done once, watched by all of them.

A limited number runs at a time; the others tell that they wait. Who leaves stops watching, and the
last one to leave stops the work.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from lamina.progress import LayerProgress, Report

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

Tell = Callable[[LayerProgress], None]
"""Tells all who watch; never waits for them."""

Work = Callable[[Tell], Coroutine[Any, Any, T]]


class SharedWork(Generic[K, T]):
    """Work by key, of which `slots` pieces run at a time."""

    def __init__(self, slots: int) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._running: dict[K, _Running[T]] = {}

    async def run(self, key: K, name: str, work: Work[T], report: Report) -> T:
        """The result of `work`, or of what already runs under `key`; `name` is used in progress.

        Raises what the work raises, to all who watch it.
        """
        running = self._running.get(key)
        if running is None or running.is_abandoned:
            # One that was abandoned may still hold what this one needs.
            running = _Running(self._in_turn(name, work, after=running))
            self._running[key] = running
        try:
            return await running.watch(report)
        finally:
            if self._running.get(key) is running and running.task.done():
                del self._running[key]

    def _in_turn(self, name: str, work: Work[T], *, after: "_Running[T] | None") -> Work[T]:
        async def begin(tell: Tell) -> T:
            if after is not None:
                await asyncio.wait({after.task})
            if self._slots.locked():
                tell(LayerProgress(name, "Waiting"))
            async with self._slots:
                return await work(tell)

        return begin


class _Running(Generic[T]):
    """One piece of work and who watches it."""

    def __init__(self, work: Work[T]) -> None:
        self._watchers: set[_Watcher] = set()
        self._latest: LayerProgress | None = None
        self.is_abandoned = False
        self.task = asyncio.create_task(work(self._tell))
        self.task.add_done_callback(self._wake)

    async def watch(self, report: Report) -> T:
        """Report its progress until it ends; its result."""
        watcher = _Watcher()
        if self._latest is not None:
            watcher.tell(self._latest)
        self._watchers.add(watcher)
        try:
            await watcher.relay(self.task, report)
            return self.task.result()
        finally:
            self._watchers.discard(watcher)
            if not self._watchers and not self.task.done():
                self.is_abandoned = True
                self.task.cancel()
                # It lets go of its files first.
                await asyncio.wait({self.task})

    def _tell(self, event: LayerProgress) -> None:
        self._latest = event
        for watcher in self._watchers:
            watcher.tell(event)

    def _wake(self, task: asyncio.Task[T]) -> None:
        if not task.cancelled():
            # Looked at, or the loop would report an exception that nobody is left to see.
            task.exception()
        for watcher in self._watchers:
            watcher.wake()


class _Watcher:
    """What one who watches has not seen yet; of amounts only the newest."""

    def __init__(self) -> None:
        self._unseen: deque[LayerProgress] = deque()
        self._news = asyncio.Event()

    def tell(self, event: LayerProgress) -> None:
        last = self._unseen[-1] if self._unseen else None
        if last is not None and last.current is not None and last.action == event.action:
            self._unseen.pop()
        self._unseen.append(event)
        self.wake()

    def wake(self) -> None:
        self._news.set()

    async def relay(self, task: asyncio.Task[Any], report: Report) -> None:
        while self._unseen or not task.done():
            await self._news.wait()
            self._news.clear()
            while self._unseen:
                await report(self._unseen.popleft())


class Meter:
    """Tells how far a blob is, at a bearable rate: every 512 KiB or 1 %, ten times a second."""

    def __init__(self, tell: Tell, name: str, action: str, total: int) -> None:
        self._tell = tell
        self._name = name
        self._action = action
        self._total = total
        self._step = min(512 << 10, total // 100) if total > 0 else 512 << 10
        self._told = 0
        self._next = 0.0
        self._now = asyncio.get_running_loop().time

    def __call__(self, current: int) -> None:
        """So many bytes are done; fewer than before where something is done again."""
        is_end = current == self._total
        if current < self._told:
            self._told = current
        elif not is_end and (current - self._told < self._step or self._now() < self._next):
            return
        self._told = current
        self._next = self._now() + 0.1
        self._tell(LayerProgress(self._name, self._action, current, self._total))


def counted_down(tell: Tell, name: str) -> Callable[[float], Awaitable[None]]:
    """A way to wait before another attempt that says how long it takes, second by second."""

    async def wait(seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while (left := end - loop.time()) > 0:
            whole = max(1, round(left))
            unit = "second" if whole == 1 else "seconds"
            tell(LayerProgress(name, f"Retrying in {whole} {unit}"))
            await asyncio.sleep(min(left, max(left - (whole - 1), 0.05)))

    return wait
