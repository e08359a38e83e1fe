"""Byte streams of an engine as the body of a reply."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from lamina.api.exchange import Exchange
from lamina.progress import BuildArchive, Operation
from lamina.streams import ByteStream

TAR: Final = "application/x-tar"


async def send_stream(
    exchange: Exchange, stream: ByteStream, content_type: str, *, headers: str = ""
) -> None:
    """Send a stream with flat memory; `headers` are lines with their CRLF."""
    chunks: AsyncIterator[bytes] = aiter(stream)
    # The status waits for the first bytes, so that an error before them can still be one.
    first = await anext(chunks, b"")
    exchange.begin(content_type, size=stream.size, headers=headers)
    await exchange.write(first)
    async for chunk in chunks:
        await exchange.write(chunk)


async def send_built(exchange: Exchange, operation: Operation[Any]) -> None:
    """Send the archive of a build, and nothing of its progress.

    It begins when the build has succeeded: an error before that is raised, to become a status. A
    client that goes away cancels the operation.
    """
    async with contextlib.aclosing(aiter(operation)) as events:
        async for event in events:
            if isinstance(event, BuildArchive):
                if not exchange.begun:
                    exchange.begin(TAR)
                await exchange.write(event.data)
