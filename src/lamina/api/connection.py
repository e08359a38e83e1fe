"""One HTTP/1.1 connection, and why it is not `aiohttp.web`'s.

The parser, the request body's buffer and the flow control are aiohttp's; the rest is made here: a
ping takes 27 µs to and fro where `aiohttp.web`'s bare server takes 43 and a socket alone 13. What
`aiohttp.web` spends on a request and this does not:

- one task per burst of requests instead of a task per request within a task per connection, so that
  a request is answered one turn of the event loop after its last byte;
- the head of a reply is prepared once a second for each status and content type, and a small reply
  is a single write of head and body (`Heads`);
- no objects for what no handler asks: URL, cookies, peer names, a mapping for application state;
- for a client that asks again as soon as it has a reply, the event loop stays awake for a moment:
  on a processor that has gone idle, waking up takes about as long as answering.

What it guards against:

- a head that never ends: `HEAD_TIMEOUT` seconds and `MAX_HEAD` bytes, checked by the server's
  sweep. A connection that waits for a request to begin, or on a long stream, is left alone for
  ever, as clients keep connections for long;
- a slow reader: a handler's write waits while more than `WRITE_BUFFER` bytes are unsent;
- a slow handler: reading stops while `READ_BUFFER` bytes of a body wait to be taken;
- a client that goes away: its handler is cancelled;
- a body that nobody read: a small rest is skipped and the connection lives on, after a larger one
  the connection is closed, slowly enough for the client to see the reply that it got.
"""

import asyncio
import contextlib
import socket
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser
from aiohttp.streams import EMPTY_PAYLOAD

from lamina.api.exchange import Exchange
from lamina.api.heads import Heads
from lamina.api.hijack import RawConnection
from lamina.errors import InvalidParameter

if TYPE_CHECKING:
    from aiohttp.http_parser import RawRequestMessage
    from aiohttp.streams import StreamReader

READ_BUFFER = 1 << 20
"""Bytes of a body that may wait for their handler; for a moment it may be twice as much."""

WRITE_BUFFER = 2 << 20
"""Bytes of a reply that may wait for their reader."""

MAX_HEAD = 2 << 20
"""Bytes of a request's line and headers together: enough for 10,000 names to save."""

MAX_LINE = 1 << 20
MAX_HEADER = 256 << 10
MAX_HEADERS = 128

HEAD_TIMEOUT = 60.0
"""Seconds in which the head of a request must arrive once it has begun."""

_QUICK = 0.0003
"""Seconds after a reply in which the next request must come for its client to be a quick one."""

_AWAKE = 0.0001
"""Seconds for which the event loop looks for a quick client's next request before it sleeps."""

_MAX_WAITING = 16
"""Pipelined requests that may wait for the one being answered."""

_SKIPPED_REST = 256 << 10
"""Bytes of an unread body that are skipped to keep the connection."""

_LINGER = 5.0
"""Seconds for which the rest of an unread body is thrown away before the connection is closed."""

_HALF_CLOSED = 0.25
"""Seconds for which a request may be finished after its client closed its sending side."""


class Host(Protocol):
    """What a connection needs of its server."""

    heads: Heads
    stopping: asyncio.Event
    connections: set["Connection"]

    async def handle(self, exchange: Exchange) -> None:
        """Answer a request; raises nothing but CancelledError."""
        ...

    def log(self, exchange: Exchange, *, aborted: bool) -> None:
        """Write down that a request is over."""
        ...


class Connection(BaseProtocol):
    """The server's end of one connection: parses requests and has them answered one by one.

    `guarded` is True on a port that a web browser on this machine could reach.
    """

    __slots__ = (
        "_closing",
        "_exchange",
        "_half_closed",
        "_head_bytes",
        "_head_since",
        "_host",
        "_idle_since",
        "_is_quick",
        "_last_body",
        "_raw",
        "_requests",
        "_task",
        "guarded",
    )

    def __init__(self, host: Host, loop: asyncio.AbstractEventLoop, *, guarded: bool) -> None:
        super().__init__(
            loop,
            HttpRequestParser(
                self,
                loop,
                READ_BUFFER,
                max_line_size=MAX_LINE,
                max_headers=MAX_HEADERS,
                max_field_size=MAX_HEADER,
                payload_exception=InvalidParameter,
                auto_decompress=False,
            ),
        )
        self._host = host
        self._requests: deque[tuple[RawRequestMessage, StreamReader]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._exchange: Exchange | None = None
        self._last_body: StreamReader = EMPTY_PAYLOAD
        self._closing = False
        self._half_closed: asyncio.TimerHandle | None = None
        self._raw: RawConnection | None = None
        self._head_since = 0.0
        self._head_bytes = 0
        self._idle_since = 0.0
        self._is_quick = False
        self.guarded = guarded

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER, low=WRITE_BUFFER // 4)
        self._host.connections.add(self)
        sock = self.transport.get_extra_info("socket")
        if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
            # The other machine may vanish without a word while it listens to events.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Cancel what is being answered: nobody waits for it."""
        super().connection_lost(exc)
        self._closing = True
        if self._task is None:
            self._host.connections.discard(self)
        else:
            # A task that has not begun to run never will: only a callback is sure to come.
            self._task.add_done_callback(lambda _: self._host.connections.discard(self))
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Parse what came in; also called with nothing, to parse on after a pause."""
        parser = self._parser
        if parser is None or self._upgraded:
            return
        try:
            messages, self._upgraded, _ = parser.feed_data(data)
        except HttpProcessingError as error:
            self._refuse(error.message)
            return
        if messages:
            self._head_bytes = 0
            self._requests.extend(messages)
            self._last_body = messages[-1][1]
            if self._task is None:
                self._head_since = 0.0
                self._is_quick = perf_counter() - self._idle_since < _QUICK
                self._task = self._loop.create_task(self._serve())
            elif len(self._requests) > _MAX_WAITING and not self._buffer_paused:
                self._pause_reading_for_buffer()
        elif self._task is None or self._last_body.is_eof():
            self._head_bytes += len(data)
            if self._task is None and not self._head_since:
                self._head_since = self._loop.time()
            if self._head_bytes > MAX_HEAD:
                self._refuse("the head of the request is too large", status=431)

    def eof_received(self) -> bool:
        """The client sends no more: it died, or only waits for its reply."""
        task, transport = self._task, self.transport
        if task is None or transport is None or transport.get_extra_info("sslcontext"):
            return False
        self._closing = True
        if self._exchange is not None:
            self._exchange.break_body("unexpected EOF")
        self._half_closed = self._loop.call_later(_HALF_CLOSED, task.cancel)
        return True

    # What the server asks.

    def close_if_late(self, now: float) -> None:
        """Close the connection if the head it is waiting for should have been there by `now`."""
        if self._head_since and now - self._head_since > HEAD_TIMEOUT:
            self.abort()

    def close_when_idle(self) -> None:
        """End the connection now if nothing is being answered, else after the present reply."""
        self._closing = True
        if self._task is None and self.transport is not None:
            self.transport.close()

    @property
    def closing(self) -> bool:
        """Whether no further request will be answered."""
        return self._closing

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The task that answers requests, None between them."""
        return self._task

    @property
    def host(self) -> Host:
        """The server."""
        return self._host

    def abort(self) -> None:
        """Drop the connection as it stands, so that the client sees a reply cut short."""
        self._closing = True
        if self.transport is not None:
            self.transport.abort()

    def send(self, data: bytes) -> None:
        """Write `data`. Raises ConnectionResetError if the client has gone."""
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has closed the connection")
        transport.write(data)

    def hand_over(self, exchange: Exchange) -> RawConnection:
        """Speak no more HTTP: what comes and goes from now on is that of the handler of `exchange`.

        What the client has sent after its request, without waiting for the reply, is lost, as it is
        with a dockerd.
        """
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has closed the connection")
        self._closing = True
        raw = RawConnection(
            transport, tally=exchange, lost=self.connection_lost, paused=self._paused
        )
        self._raw = raw
        self._paused = False
        transport.set_protocol(raw)
        if self._half_closed is not None:
            self._half_closed.cancel()
            raw.eof_received()
        if self._reading_paused or self._buffer_paused:
            self._reading_paused = self._buffer_paused = False
            self._resume_transport_reading()
        return raw

    async def drain(self) -> None:
        """Wait until less than `WRITE_BUFFER` bytes are unsent. Raises ConnectionError."""
        if self._paused:
            await self._drain_helper()

    # The work.

    async def _serve(self) -> None:
        """Answer every request there is, then end; the next one starts a new task."""
        try:
            while self._requests and self.transport is not None:
                message, payload = self._requests.popleft()
                exchange = self._exchange = Exchange(self, message, payload)
                if self._parser is None:
                    exchange.break_body("invalid body")
                await self._answer(exchange)
                if self._buffer_paused and len(self._requests) <= _MAX_WAITING // 2:
                    self._resume_reading_for_buffer()
                if self._closing:
                    await self._finish(exchange)
                    break
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            self._task = self._exchange = None
            self._idle_since = perf_counter()
            if self._is_quick and not self._closing:
                self._stay_awake()

    def _stay_awake(self) -> None:
        """Have the loop look for events without sleeping, until a request is here or late."""
        if self._task is None and perf_counter() - self._idle_since < _AWAKE:
            self._loop.call_soon(self._stay_awake)

    async def _answer(self, exchange: Exchange) -> None:
        if exchange.last or self._upgraded:
            self._closing = True
        over = False
        try:
            await self._host.handle(exchange)
            exchange.end()
            await self.drain()
            over = True
            if exchange.last:
                self._closing = True
            if not exchange.body_is_read and not await self._skip(exchange):
                self._closing = True
        except ConnectionError:
            self.abort()
        finally:
            self._host.log(exchange, aborted=not over)

    async def _skip(self, exchange: Exchange) -> bool:
        """Skip what is left of a body; whether the connection is fit for another request."""
        if exchange.awaits_continue:
            # Whether its client sends the body now, or never, cannot be known.
            return False
        skipped = 0
        with contextlib.suppress(InvalidParameter, TimeoutError):
            async with asyncio.timeout(_LINGER):
                while skipped <= _SKIPPED_REST:
                    if not (chunk := await exchange.read_raw()):
                        return True
                    skipped += len(chunk)
        return False

    async def _finish(self, exchange: Exchange) -> None:
        """Close, after a reply; first for reading what a client may still be sending.

        A connection closed with bytes unread resets it, and the client might never see the reply.
        """
        transport = self.transport
        if transport is None:
            return
        if self._raw is not None:
            await self._raw.end()
        elif not exchange.body_is_read and not exchange.awaits_continue and not self._paused:
            if transport.can_write_eof():
                transport.write_eof()
            with contextlib.suppress(InvalidParameter, TimeoutError):
                async with asyncio.timeout(_LINGER):
                    while await exchange.read_raw():
                        pass
        transport.close()

    def _refuse(self, message: str, *, status: int = 400) -> None:
        """Answer what is no request and close; if it is a body, its request is in for an error."""
        transport, parser = self.transport, self._parser
        self._parser = None
        self._closing = True
        if self._exchange is not None:
            self._exchange.break_body(message.splitlines()[0] if message else "invalid body")
        if self._task is None and transport is not None and parser is not None:
            body = f"{status} {message.splitlines()[0] if message else ''}\n".encode()
            head = self._host.heads.get(
                status, "text/plain; charset=utf-8", "Connection: close\r\n", "nothing"
            )
            transport.write(b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body))
            # What else comes is thrown away, until the client has seen this or the sweep comes by.
            self._head_since = self._loop.time() - HEAD_TIMEOUT + _LINGER
            if transport.can_write_eof():
                transport.write_eof()
            else:
                transport.close()
