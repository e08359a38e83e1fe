"""Work in threads that ends soon after it is no longer wanted."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from threading import Event
from typing import TypeVar

__all__ = ["Stopped", "run_to_end", "until_stopped"]

T = TypeVar("T")


class Stopped(Exception):
    """The work was given up; whoever set the event knows why."""


def until_stopped(pieces: Iterable[T], stop: Event) -> Iterator[T]:
    """Yield the pieces. Raises Stopped after the event was set."""
    for piece in pieces:
        if stop.is_set():
            raise Stopped
        yield piece


async def run_to_end(
    function: Callable[[], T], executor: Executor, *, stop: Callable[[], None] = lambda: None
) -> T:
    """Call `function` in a thread; a cancellation calls `stop` and waits until it has returned.

    So that nothing is made any more in a directory that is then removed.
    """
    running = asyncio.get_running_loop().run_in_executor(executor, function)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait({running})
        except asyncio.CancelledError as error:
            cancelled = error
            stop()
    if cancelled is not None:
        # Looked at, or the loop would report an exception that nobody retrieved.
        running.exception()
        raise cancelled
    return running.result()
