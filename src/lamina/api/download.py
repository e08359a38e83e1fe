"""Byte streams of an engine as the body of a reply."""

from collections.abc import AsyncIterator

from lamina.api.exchange import Exchange
from lamina.streams import ByteStream


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
