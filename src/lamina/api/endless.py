"""Streams without an end of their own, which end when the server stops."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

T = TypeVar("T")


async def until_stopped(
    stopping: asyncio.Event, items: AsyncIterator[T], *, quiet_start: float | None = None
) -> AsyncGenerator[T | None, None]:
    """The items until `stopping` is set.

    With `quiet_start` a None comes first if there is no item after that many seconds, so that the
    reply can begin.
    """
    stop = asyncio.create_task(stopping.wait())
    pending: asyncio.Task[T] | None = None
    try:
        while not stopping.is_set():
            if pending is None:
                pending = asyncio.create_task(_next(items))
            done, _ = await asyncio.wait(
                {stop, pending}, timeout=quiet_start, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                yield None
            elif pending in done:
                try:
                    item = await pending
                except StopAsyncIteration:
                    return
                pending = None
                yield item
            quiet_start = None
    finally:
        for task in (stop, pending):
            if task is not None and not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


async def _next(items: AsyncIterator[T]) -> T:
    return await anext(items)
