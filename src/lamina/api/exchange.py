"""One request and the reply to it, as a handler sees them.

A handler either calls `reply` once, or `begin`, then `write` as often as it likes; each `write` is
one HTTP chunk unless the size of the reply was announced.
"""

from collections.abc import AsyncIterator
from time import perf_counter
from typing import TYPE_CHECKING
from urllib.parse import unquote

from lamina.api.heads import Told
from lamina.api.hijack import RawConnection
from lamina.api.json_text import encode_json
from lamina.api.query import Query
from lamina.api.versions import NEWEST
from lamina.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.http_parser import RawRequestMessage
    from aiohttp.streams import StreamReader

    from lamina.api.connection import Connection

JSON = "application/json"
PLAIN = "text/plain; charset=utf-8"


def encode_value(value: object) -> bytes:
    """A value as JSON with a line end, as Go's encoder writes it."""
    return encode_json(value) + b"\n"


class Exchange:
    """A request (`method`, `path`, `name`, `version`, `query`, `headers`, `body`) and its reply.

    `path` is decoded and has no version; `name` is what stood for ``{name}`` in the route. `status`
    is 0 until the reply has begun, `sent` counts the bytes of its body.
    """

    __slots__ = (
        "_broken",
        "_chunked",
        "_connection",
        "_ended",
        "_expects",
        "_left",
        "_payload",
        "_query",
        "_query_text",
        "headers",
        "last",
        "method",
        "name",
        "path",
        "received",
        "sent",
        "since",
        "status",
        "target",
        "version",
    )

    def __init__(
        self, connection: "Connection", message: "RawRequestMessage", payload: "StreamReader"
    ) -> None:
        self._connection = connection
        self._payload = payload
        self._query: Query | None = None
        self._expects = False
        self._broken = False
        self._left = 0
        self._ended = False
        # Not the loop's clock, which knows milliseconds only.
        self.since = perf_counter()
        self.method: str = message.method
        self.target: str = message.path
        path, _, self._query_text = message.path.partition("?")
        if path[:1] != "/":
            # A proxy's form of request names scheme and host first.
            path = message.url.raw_path
        self.path = unquote(path) if "%" in path else path
        self.name = ""
        self.version = NEWEST
        self.headers: Mapping[str, str] = message.headers
        self.last: bool = message.should_close
        if not payload.is_eof():
            self._expects = (
                message.version >= (1, 1)
                and message.headers.get("Expect", "").lower() == "100-continue"
            )
        # HTTP/1.0 knows no chunks: what has no length ends with the connection.
        self._chunked = message.version >= (1, 1)
        self.status = 0
        self.sent = 0
        self.received = 0

    # The request.

    @property
    def query(self) -> Query:
        """The parameters. Raises InvalidParameter as `Query` does."""
        if self._query is None:
            self._query = Query(self._query_text)
        return self._query

    @property
    def guarded(self) -> bool:
        """Whether the request came by a way that a web page could use."""
        return self._connection.guarded

    async def body(self) -> AsyncIterator[bytes]:
        """The body's chunks, each as large as what has arrived; read slowly, it is sent slowly.

        Raises InvalidParameter where its framing is broken or it ends too early.
        """
        while chunk := await self.read_raw():
            yield chunk

    async def read_raw(self) -> bytes:
        """The next bytes of the body, empty at its end."""
        if self._expects and not self._payload.is_eof():
            self._expects = False
            self._connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        chunk = await self._payload.readany()
        self.received += len(chunk)
        return chunk

    def break_body(self, message: str) -> None:
        """Have whoever reads the body get InvalidParameter, unless all of it has arrived."""
        if not self._payload.is_eof():
            self._payload.set_exception(InvalidParameter(message))
            self._broken = True

    @property
    def body_is_read(self) -> bool:
        """Whether the whole body has arrived, or no more of it ever will."""
        return self._broken or self._payload.is_eof()

    @property
    def awaits_continue(self) -> bool:
        """Whether the client is waiting for leave to send the body."""
        return self._expects

    # The reply.

    @property
    def begun(self) -> bool:
        """Whether a status has been sent, so that an error can no longer become one."""
        return self.status != 0

    def reply(
        self,
        status: int,
        body: bytes = b"",
        content_type: str = JSON,
        headers: str = "",
        told: Told = "all",
    ) -> None:
        """Send the whole reply at once; `headers` and `told` are as in `Heads.get`."""
        connection = self._connection
        self.status = status
        self.sent = size = len(body)
        self._ended = True
        if connection.closing or not (self._payload.is_eof() or self._skippable):
            self.last = True
            headers += "Connection: close\r\n"
        head = connection.host.heads.get(status, content_type, headers, told)
        if self.method == "HEAD":
            body = b""
        connection.send(b"%bContent-Length: %d\r\n\r\n%b" % (head, size, body))

    def reply_empty(self, status: int) -> None:
        """Send a status that has no body: 204, or 304."""
        connection = self._connection
        self.status = status
        self._ended = True
        headers = ""
        if connection.closing or not (self._payload.is_eof() or self._skippable):
            self.last = True
            headers = "Connection: close\r\n"
        connection.send(connection.host.heads.get(status, "", headers) + b"\r\n")

    def reply_value(self, value: object, status: int = 200) -> None:
        """Send `value` as JSON with a line end, as Go's encoder writes it."""
        self.reply(status, encode_value(value))

    def reply_error(
        self, status: int, message: str, *, plain: bool = False, told: Told = "all"
    ) -> None:
        """Send an error as ``{"message": …}``, or as plain text to clients from before API 1.24."""
        if plain:
            body = f"{message}\n".encode(errors="replace")
            self.reply(status, body, PLAIN, "X-Content-Type-Options: nosniff\r\n", told)
        else:
            self.reply(status, encode_value({"message": message}), told=told)

    def begin(self, content_type: str, *, size: int | None = None, headers: str = "") -> None:
        """Start a reply with status 200 and a body that `write` sends, of `size` bytes if known.

        `headers` are as in `Heads.get`.
        """
        connection = self._connection
        self.status = 200
        if size is not None:
            self._chunked = False
            self._left = size
        elif not self._chunked:
            self.last = True
        if connection.closing or self.last:
            self.last = True
            headers += "Connection: close\r\n"
        head = connection.host.heads.get(200, content_type, headers)
        if size is not None:
            head += b"Content-Length: %d\r\n\r\n" % size
        elif self._chunked:
            head += b"Transfer-Encoding: chunked\r\n\r\n"
        else:
            head += b"\r\n"
            self._left = -1
        connection.send(head)

    def hijack(self, content_type: str, *, upgrade: str = "", headers: str = "") -> RawConnection:
        """Send the head of a reply, and have the connection for bytes in both directions.

        It is 101 where the client has asked to `upgrade` the connection, else 200; `headers` are as
        in `Heads.get`. The connection is closed when the handler ends.
        """
        connection = self._connection
        self.status = 101 if upgrade else 200
        self.last = self._ended = True
        if upgrade:
            headers = f"Connection: Upgrade\r\nUpgrade: {upgrade}\r\n{headers}"
        connection.send(connection.host.heads.get(self.status, content_type, headers) + b"\r\n")
        return connection.hand_over(self)

    async def write(self, data: bytes) -> None:
        """Send a part of the body, waiting while the client is slow. Raises ConnectionError."""
        size = len(data)
        if not size:
            return
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (size, data)
        elif self._left >= 0:
            if size > self._left:
                raise ValueError("a reply longer than announced")
            self._left -= size
        self.sent += size
        connection = self._connection
        connection.send(data)
        if connection.writing_paused:
            await connection.drain()

    def end(self) -> None:
        """End the reply, if the handler has not. One that is shorter than announced is cut off."""
        if self._ended:
            return
        self._ended = True
        if not self.status:
            self.reply_error(500, "the server gave no answer")
        elif self._chunked:
            self._connection.send(b"0\r\n\r\n")
        elif self._left > 0:
            self.cut_off()

    def cut_off(self) -> None:
        """Break the reply off so that the client notices."""
        self._ended = True
        self._connection.abort()

    @property
    def _skippable(self) -> bool:
        """Whether the rest of the body is surely short enough to be skipped."""
        try:
            return not self._expects and int(self.headers.get("Content-Length", "")) <= 256 << 10
        except ValueError:
            return False
