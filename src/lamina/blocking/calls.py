"""Coroutines that run on an event loop for other threads, which wait for them.

Theory of operation: a thread that waits may be interrupted (KeyboardInterrupt) or lose interest (a
loop that is left early), and the loop may end while others still wait. So each coroutine is a task
whose end is always told in `Running.ended`, whatever else is waited for; who stops waiting cancels
it and waits for its end. Async iterables are read by one task each, item by item as they are asked
for, so that nothing is ever suspended that no task would clean up.
"""

import asyncio
import contextlib
import threading
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterator,
)
from concurrent import futures
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")


@contextlib.contextmanager
def running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in a thread of its own while the context lasts."""
    started: Future[asyncio.AbstractEventLoop] = Future()
    stop = asyncio.Event()

    async def run() -> None:
        started.set_result(asyncio.get_running_loop())
        await stop.wait()

    # A daemon: a program whose thread has died in a context it never left can still end.
    thread = threading.Thread(target=lambda: asyncio.run(run()), name="lamina", daemon=True)
    thread.start()
    loop = started.result()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


class Running(Generic[T]):
    """A coroutine that runs on a loop for another thread; `ended` has its outcome at last."""

    def __init__(self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> None:
        self.ended: Future[T] = Future()
        self._loop = loop
        self._tasks: list[asyncio.Task[T]] = []
        loop.call_soon_threadsafe(self._begin, coroutine)

    def post(self, callback: Callable[..., object], *arguments: object) -> None:
        """Have the loop call something."""
        # A loop that is closed has ended all that it ran.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *arguments)

    def wait(self, future: Future[Any]) -> None:
        """Wait for `future`, or until the coroutine has ended; cancel it if that is interrupted."""
        if self._is_on_loop():
            raise RuntimeError("the event loop's own thread cannot wait for it")
        try:
            futures.wait((future, self.ended), return_when=futures.FIRST_COMPLETED)
        except BaseException:
            self.cancel()
            raise

    def cancel(self) -> None:
        """Cancel the coroutine, if it runs, and wait until it has ended."""
        if self.ended.done():
            return
        self.post(lambda: [task.cancel() for task in self._tasks])
        # An iteration that nobody refers to any more may be found on any thread.
        if not self._is_on_loop():
            futures.wait((self.ended,))

    def _begin(self, coroutine: Coroutine[Any, Any, T]) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.append(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self.ended.set_exception(RuntimeError("closed while it was used"))
        elif (error := task.exception()) is not None:
            self.ended.set_exception(error)
        else:
            self.ended.set_result(task.result())

    def _is_on_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False


class Calls:
    """Runs coroutines on a loop for any thread; at its end, those that still run are cancelled.

    Whoever calls afterwards gets a RuntimeError, and so does who is still waiting.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._running: set[Running[Any]] = set()
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._is_closed = True
            running = list(self._running)
        for call in running:
            call.cancel()

    def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """What the awaitable gives that `work` makes; raises what it raises."""

        async def wait() -> T:
            return await work()

        call = self._start(wait())
        call.wait(call.ended)
        return call.ended.result()

    @contextlib.contextmanager
    def entered(self, manager: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """Enter a context on the loop, and leave it there at the end, in one task."""
        value: Future[T] = Future()
        leave = asyncio.Event()

        async def stay() -> None:
            async with manager as entered:
                value.set_result(entered)
                await leave.wait()

        staying = self._start(stay())
        staying.wait(value)
        if staying.ended.done():
            staying.ended.result()
        try:
            yield value.result()
        finally:
            staying.post(leave.set)
            staying.wait(staying.ended)
            staying.ended.result()

    def read(self, source: AsyncIterable[T]) -> Generator[T, None, None]:
        """The items of `source`; closing this generator, or leaving its loop, closes that one."""
        turns: asyncio.Queue[Future[T]] = asyncio.Queue()

        async def take() -> None:
            items = aiter(source)
            try:
                while True:
                    turn = await turns.get()
                    try:
                        item = await anext(items)
                    except StopAsyncIteration:
                        return
                    turn.set_result(item)
            finally:
                if isinstance(items, AsyncGenerator):
                    await items.aclose()

        reading = self._start(take())
        try:
            while True:
                turn: Future[T] = Future()
                reading.post(turns.put_nowait, turn)
                reading.wait(turn)
                if not turn.done():
                    reading.ended.result()
                    return
                yield turn.result()
        finally:
            reading.cancel()

    def _start(self, coroutine: Coroutine[Any, Any, T]) -> Running[T]:
        with self._lock:
            if self._is_closed:
                coroutine.close()
                raise RuntimeError("used after it was closed")
            call = Running(self._loop, coroutine)
            self._running.add(call)
        call.ended.add_done_callback(lambda _: self._running.discard(call))
        return call
