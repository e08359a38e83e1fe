"""Byte streams as a library user hands them in and gets them back."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

CHUNK_SIZE = 1 << 20
"""Bytes read at a time from a file: large enough that a thread hop costs little beside it."""

ByteSource = AsyncIterable[bytes] | Iterable[bytes] | BinaryIO | os.PathLike[str]
"""Bytes to read once: an iterable of chunks, async or not, an open binary file, or its path."""


class ByteStream(Protocol):
    """Bytes to be sent: async-iterate the chunks."""

    @property
    def size(self) -> int | None:
        """The sum of the chunks in bytes, where it is known beforehand."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class Frame(NamedTuple):
    """Bytes that a process wrote, and to which of its streams.

    `stream` is 1 for stdout and 2 for stderr; all that a terminal shows is stdout.
    """

    stream: int
    data: bytes


async def chunks_of(source: ByteSource) -> AsyncGenerator[bytes, None]:
    """The chunks of any `ByteSource`; files and what is not async are read in threads."""
    if isinstance(source, AsyncIterable):
        async for chunk in source:
            yield chunk
    elif isinstance(source, os.PathLike):
        with await asyncio.to_thread(Path(source).open, "rb") as file:
            while chunk := await asyncio.to_thread(file.read, CHUNK_SIZE):
                yield chunk
    elif hasattr(source, "read"):
        while chunk := await asyncio.to_thread(source.read, CHUNK_SIZE):
            yield chunk
    else:
        chunks = iter(source)
        while (piece := await asyncio.to_thread(next, chunks, None)) is not None:
            yield piece
