"""The threads a store works in.

Three pools, because a job of one waits for jobs of another: a write waits for the hash of what was
written before it, and would wait for ever if sixteen writes had taken all the threads there are.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Threads:
    """Pools that start threads as they are needed and end with the object."""

    def __init__(self) -> None:
        self.files = ThreadPoolExecutor(16, thread_name_prefix="content-file")
        self.hashing = ThreadPoolExecutor(
            len(os.sched_getaffinity(0)), thread_name_prefix="content-hash"
        )
        self.flushing = ThreadPoolExecutor(4, thread_name_prefix="content-flush")

    async def run(self, function: Callable[[], T]) -> T:
        """Call `function` in a thread. On cancellation it may still be running."""
        return await asyncio.get_running_loop().run_in_executor(self.files, function)

    async def result_of(self, running: Future[T]) -> T:
        """Wait for what was submitted to a pool before."""
        return await asyncio.wrap_future(running)

    async def run_to_end(self, function: Callable[[], T]) -> T:
        """Call `function` in a thread for files, as the function of this name does."""
        return await run_to_end(function, self.files)


async def run_to_end(
    function: Callable[[], T],
    executor: Executor | None = None,
    *,
    stop: Callable[[], None] | None = None,
) -> T:
    """Call `function` in a thread; a cancellation calls `stop` and waits until it has returned.

    For what opens and closes: cut short, it would leave a descriptor and its lock behind; and for
    what writes into a directory that is removed if nobody wants it any more.
    """
    running = asyncio.get_running_loop().run_in_executor(executor, function)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait({running})
        except asyncio.CancelledError as error:
            cancelled = error
            if stop is not None:
                stop()
    if cancelled is not None:
        # Looked at, or the loop would report an exception that nobody retrieved.
        running.exception()
        raise cancelled
    return running.result()
