"""A hijacked connection that speaks WebSocket: to a session it is a stream of bytes like any."""

import contextlib
import struct
from collections import deque
from typing import Final

from lamina.api.exchange import Exchange
from lamina.api.hijack import RawConnection
from lamina.api.websocket import (
    Close,
    Data,
    Decoder,
    Opcode,
    Ping,
    ProtocolError,
    accept_key,
    encode,
)
from lamina.errors import InvalidParameter

__all__ = ["WebStream", "WebStreamClosed", "open_web_stream"]

_VERSION: Final = "13"
_NORMAL: Final = struct.pack(">H", 1000)


class WebStreamClosed(ConnectionError):
    """The client has ended the conversation."""


class WebStream:
    """What the client says in data frames; what is written goes out as frames of one kind."""

    def __init__(self, connection: RawConnection, kind: Opcode) -> None:
        self._connection = connection
        self._kind = kind
        self._decoder = Decoder()
        self._heard: deque[bytes] = deque()
        self._leave: bytes | None = None
        """The status with which the client has taken leave."""
        self._closed = False

    async def read(self) -> bytes:
        """The next bytes; empty when the client has gone without a word.

        WebStreamClosed when it takes its leave, ProtocolError.
        """
        while not self._heard:
            if self._leave is not None:
                await self.close(self._leave)
                raise WebStreamClosed("the client has closed the websocket")
            data = await self._connection.read()
            if not data:
                return b""
            await self._take(data)
        return self._heard.popleft()

    async def _take(self, data: bytes) -> None:
        try:
            messages = self._decoder.feed(data)
        except ProtocolError as error:
            await self.close(struct.pack(">H", error.status))
            raise
        for message in messages:
            match message:
                case Data(payload):
                    self._heard.append(payload)
                case Ping(payload):
                    await self._connection.write(encode(Opcode.PONG, payload))
                case Close(payload):
                    self._leave = payload[:2]

    async def write(self, data: bytes) -> None:
        """Send `data` as a frame. Raises ConnectionError."""
        if self._closed:
            raise WebStreamClosed("the websocket is closed")
        await self._connection.write(encode(self._kind, data))

    async def close(self, status: bytes = _NORMAL) -> None:
        """Say that nothing follows, if that has not been said."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(ConnectionError):
                await self._connection.write(encode(Opcode.CLOSE, status))


def open_web_stream(exchange: Exchange) -> WebStream:
    """Answer a client's handshake. InvalidParameter, with the words of dockerd's library."""
    headers = exchange.headers
    wanted = [word.strip().lower() for word in headers.get("Connection", "").split(",")]
    if headers.get("Upgrade", "").lower() != "websocket" or "upgrade" not in wanted:
        raise InvalidParameter("not websocket protocol")
    accepted = accept_key(headers.get("Sec-WebSocket-Key", ""))
    if headers.get("Sec-WebSocket-Version") != _VERSION:
        raise InvalidParameter("missing or bad WebSocket Version")
    connection = exchange.hijack(
        "", upgrade="websocket", headers=f"Sec-WebSocket-Accept: {accepted}\r\n"
    )
    # Until API 1.28 output was called text, whatever it was.
    return WebStream(connection, Opcode.BINARY if exchange.version >= (1, 28) else Opcode.TEXT)
