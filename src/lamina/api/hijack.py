"""A connection that stops speaking HTTP: after a reply's head it carries bytes, both ways.

Docker's name for it is hijacking. A client asks for it with ``Upgrade: tcp`` and is told ``101``,
or it does not ask and is told ``200``; either way the connection belongs to the handler of that
request until it ends, and is closed then. Each side may end its own direction first.

Over TLS a client ends its direction by an alert, ``close_notify``, and may still be listening. For
asyncio that ends the connection; `HalfClosable` keeps it from seeing the alert.

What the HTTP side of the connection knows stays true: it counts as one that is being answered, so
the server waits for it when it stops, and its handler is cancelled when the client goes away.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any, Final, Protocol

_READ_SIZE: Final = 64 << 10
"""Bytes read at a time; twice that may wait to be taken before the client is held up."""

_LINGER: Final = 1.0
"""Seconds for which a client is waited for that has been told the end."""


class Tally(Protocol):
    """Where the bytes of both directions are counted."""

    received: int
    sent: int


class HalfClosable(ssl.SSLObject):
    """TLS whose other side may send no more and yet be sent to: an `SSLContext.sslobject_class`.

    `half_closed` is called once when the other side has said so; without it, that is the end.
    """

    half_closed: Callable[[], object] | None = None
    _told = False

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: ANN401 - as in typeshed's overloads
        """Read, telling the end apart."""
        data = super().read(len) if buffer is None else super().read(len, buffer)
        if data or self.half_closed is None:
            return data
        if not self._told:
            self._told = True
            self.half_closed()
        raise ssl.SSLWantReadError


class RawConnection(asyncio.Protocol):
    """The bytes of a hijacked connection, which `tally` counts.

    `lost` is called when the connection is no more. `paused`: its buffer was full at the moment.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        *,
        tally: Tally,
        lost: Callable[[BaseException | None], None],
        paused: bool,
    ) -> None:
        self._tally = tally
        self._transport = transport
        self._lost = lost
        self._reader = asyncio.StreamReader(_READ_SIZE)
        self._reader.set_transport(transport)
        tls = transport.get_extra_info("ssl_object")
        if isinstance(tls, HalfClosable):
            # What was read before it is told of only after it.
            loop = asyncio.get_running_loop()
            tls.half_closed = lambda: loop.call_soon(self._reader.feed_eof)
        self._writable = asyncio.Event()
        if not paused:
            self._writable.set()

    # What the transport tells.

    def data_received(self, data: bytes) -> None:
        """Keep what came in until it is read."""
        self._reader.feed_data(data)

    def eof_received(self) -> bool:
        """The client sends no more; under TLS this is the end of both directions."""
        self._reader.feed_eof()
        return self._transport.get_extra_info("sslcontext") is None

    def pause_writing(self) -> None:
        """Hold writers up."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Let them go on."""
        self._writable.set()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The client is gone."""
        if not self._reader.at_eof():
            self._reader.feed_eof()
        self._writable.set()
        self._lost(exc)

    # What a handler asks.

    async def read(self) -> bytes:
        """The next bytes, empty when the client sends no more."""
        data = await self._reader.read(_READ_SIZE)
        self._tally.received += len(data)
        return data

    async def write(self, data: bytes) -> None:
        """Send `data`, waiting while the client is slow. Raises ConnectionResetError."""
        await self._writable.wait()
        if self._transport.is_closing():
            raise ConnectionResetError("the client has closed the connection")
        self._transport.write(data)
        self._tally.sent += len(data)

    async def end(self) -> None:
        """Say that nothing more will be sent, and throw away what the client is still sending.

        A connection that is closed with bytes unread is reset, and the client might lose what it
        was told last. Where TLS has no end of one direction, there is nothing to wait for.
        """
        if not self._transport.can_write_eof() or self._transport.is_closing():
            return
        self._transport.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                while await self._reader.read(_READ_SIZE):
                    pass
