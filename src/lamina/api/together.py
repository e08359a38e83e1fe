"""Sending many small pieces in few writes, without making any of them wait."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

__all__ = ["send_together"]

_MOST: Final = 1 << 18
"""Bytes that are collected at most while the client takes what was sent before."""


async def send_together(
    pieces: AsyncIterator[bytes], write: Callable[[bytes], Awaitable[None]], stopping: asyncio.Event
) -> None:
    """Write the pieces until they end or `stopping` is set, those that come at once as one.

    Raises what reading or writing raises.
    """
    batch = _Batch()
    collecting = asyncio.create_task(batch.collect(pieces))
    sending = asyncio.create_task(batch.send(write))
    stop = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({sending, stop}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            await sending
            await collecting
    finally:
        for task in (stop, sending, collecting):
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                    await task


class _Batch:
    """What was collected and not sent yet.

    Sending has its turn whenever collecting has to wait, be it for a single piece.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._ended = False
        self._filled = asyncio.Event()
        self._taken = asyncio.Event()

    async def collect(self, pieces: AsyncIterator[bytes]) -> None:
        try:
            async for piece in pieces:
                self._data += piece
                self._filled.set()
                if len(self._data) >= _MOST:
                    self._taken.clear()
                    await self._taken.wait()
        finally:
            self._ended = True
            self._filled.set()

    async def send(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        while not self._ended or self._data:
            await self._filled.wait()
            self._filled.clear()
            data = bytes(self._data)
            self._data.clear()
            self._taken.set()
            if data:
                await write(data)
