"""HTTP/1.1 as it lies on the wire: exact status lines, header bytes and chunk frames.

A client library hides what Docker clients depend on: which chunk a JSON message came in, header
case, Content-Length against chunked. This one keeps everything. Blocking, keep-alive, no redirects,
no retries, no decoding; it also serves as the benchmark's client, the same for both engines.
"""

import json
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Address = Path | tuple[str, int]
"""A unix socket, or a host and port."""

RECEIVE_SIZE = 1 << 18
MAX_HEAD = 1 << 20


class ProtocolError(Exception):
    """What came is not HTTP/1.1, or ended too early."""


@dataclass
class Response:
    """A response whose head has been read; the body is read on demand, once.

    `head` is the bytes up to and including the empty line. `headers` keeps order, case and
    repetitions. `framing` is "chunked", "length", "close" or "none".
    """

    status: int
    reason: str
    version: str
    head: bytes
    headers: tuple[tuple[str, str], ...]
    framing: str
    length: int | None
    _connection: "Connection" = field(repr=False)
    _left: int = 0
    _ended: bool = False
    trailers: tuple[tuple[str, str], ...] = ()

    def header(self, name: str, default: str | None = None) -> str | None:
        """The first header of that name, whatever its case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), default)

    def read_chunk(self) -> bytes | None:
        """One chunk exactly as it was framed; None once, at the end.

        Raises ProtocolError if the body is not chunked or is cut off.
        """
        if self.framing != "chunked":
            raise ProtocolError(f"the body is not chunked but {self.framing}")
        if self._ended:
            return None
        line = self._connection.read_line()
        try:
            size = int(line.split(b";", 1)[0].strip(), 16)
        except ValueError:
            raise ProtocolError(f"not a chunk size: {line!r}") from None
        if size == 0:
            self.trailers = _parse_headers(self._connection.read_lines())
            self._end()
            return None
        data = self._connection.read_exactly(size)
        if self._connection.read_exactly(2) != b"\r\n":
            raise ProtocolError("a chunk without its line end")
        return data

    def chunks(self) -> Iterator[bytes]:
        """All chunks as they were framed."""
        while (chunk := self.read_chunk()) is not None:
            yield chunk

    def stream(self) -> Iterator[bytes]:
        """The body in pieces, whatever its framing; not the frames."""
        if self.framing == "chunked":
            yield from self.chunks()
            return
        while not self._ended:
            if self.framing == "close":
                data = self._connection.receive()
                if not data:
                    self._end()
                    return
            elif self._left == 0:
                self._end()
                return
            else:
                data = self._connection.read_some(self._left)
                self._left -= len(data)
            yield data

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self.stream())

    def drain(self) -> int:
        """Read the body to its end and forget it; returns the number of bytes."""
        return sum(len(data) for data in self.stream())

    def json(self) -> Any:  # noqa: ANN401 - JSON is any value; each test knows which it expects
        """The whole body as one JSON value."""
        return json.loads(self.read())

    def _end(self) -> None:
        self._ended = True
        if self.framing == "close" or (self.header("Connection") or "").lower() == "close":
            self._connection.close()


class Connection:
    """One connection, reused for every request until either side ends it."""

    def __init__(
        self, address: Address, *, timeout: float = 240, tls: ssl.SSLContext | None = None
    ) -> None:
        self.address = address
        self._buffer = bytearray()
        if isinstance(address, tuple):
            self.sock = socket.create_connection(address, timeout)
        else:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(timeout)
            try:
                self.sock.connect(str(address))
            except OSError:
                self.sock.close()
                raise
        if tls is not None and isinstance(address, tuple):
            self.sock = tls.wrap_socket(self.sock, server_hostname=address[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()

    def request(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
        length: int | None = None,
    ) -> Response:
        """Send a request and read the response's head.

        `body` bytes go with a Content-Length; pieces go with `length` as theirs, or else chunked,
        one chunk a piece. A server that answers and closes before it has read everything is heard.
        """
        self.send_request(method, target, headers=headers, body=body, length=length)
        return self.read_response(has_body=method != "HEAD")

    def send_request(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
        length: int | None = None,
    ) -> None:
        """Send a request without waiting for what it gives."""
        fields = {"Host": "docker", **(headers or {})}
        if isinstance(body, bytes):
            body, length = (body,), len(body)
        chunked = body is not None and length is None
        if chunked:
            fields["Transfer-Encoding"] = "chunked"
        elif length is not None:
            fields["Content-Length"] = str(length)
        lines = [f"{method} {target} HTTP/1.1", *(f"{k}: {v}" for k, v in fields.items())]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        try:
            self.sock.sendall(head)
            for piece in body or ():
                if chunked:
                    self.sock.sendall(b"%x\r\n" % len(piece))
                self.sock.sendall(piece)
                if chunked:
                    self.sock.sendall(b"\r\n")
            if chunked:
                self.sock.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            # It may have said why before it hung up: reading tells.
            pass

    def send_file(self, method: str, target: str, path: Path, *, content_type: str) -> Response:
        """Send a request whose body is a file, by sendfile, so that the client costs least."""
        with path.open("rb") as file:
            size = path.stat().st_size
            head = (
                f"{method} {target} HTTP/1.1\r\nHost: docker\r\nContent-Type: {content_type}\r\n"
                f"Content-Length: {size}\r\n\r\n"
            )
            self.sock.sendall(head.encode("latin-1"))
            self.sock.sendfile(file)
        return self.read_response()

    def get(self, target: str) -> Response:
        """A GET without a body."""
        return self.request("GET", target)

    def read_response(self, *, has_body: bool = True) -> Response:
        """Read the next response's head. Raises ProtocolError, and what the socket raises."""
        lines = self.read_lines()
        if not lines:
            raise ProtocolError("an empty line where a status line belongs")
        head = b"".join(line + b"\r\n" for line in lines) + b"\r\n"
        version, _, rest = lines[0].decode("latin-1").partition(" ")
        code, _, reason = rest.partition(" ")
        if not version.startswith("HTTP/1.") or not code.isdigit():
            raise ProtocolError(f"not a status line: {lines[0]!r}")
        status = int(code)
        headers = _parse_headers(lines[1:])
        names = {key.lower(): value for key, value in headers}
        length: int | None = None
        if not has_body or status in {204, 304} or status < 200:
            framing = "none"
        elif names.get("transfer-encoding", "").lower() == "chunked":
            framing = "chunked"
        elif "content-length" in names:
            framing, length = "length", int(names["content-length"])
        else:
            framing = "close"
        return Response(
            status,
            reason,
            version,
            head,
            headers,
            framing,
            length,
            self,
            _left=length or 0,
            _ended=framing == "none",
        )

    def receive(self) -> bytes:
        """What has come, at most RECEIVE_SIZE bytes; empty at the end of the stream."""
        if self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
            return data
        return self.sock.recv(RECEIVE_SIZE)

    def read_some(self, most: int) -> bytes:
        """At least one byte, at most `most`. Raises ProtocolError at the end of the stream."""
        if self._buffer:
            data = bytes(self._buffer[:most])
            del self._buffer[:most]
            return data
        data = self.sock.recv(min(most, RECEIVE_SIZE))
        if not data:
            raise ProtocolError("the connection ended within a message")
        return data

    def read_exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._fill()
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def read_line(self) -> bytes:
        """A line without its CR LF."""
        start = 0
        while (end := self._buffer.find(b"\r\n", start)) < 0:
            if len(self._buffer) > MAX_HEAD:
                raise ProtocolError("a line without end")
            start = max(0, len(self._buffer) - 1)
            self._fill()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def read_lines(self) -> list[bytes]:
        """Lines up to an empty one, which is dropped."""
        lines = []
        while line := self.read_line():
            lines.append(line)
        return lines

    def _fill(self) -> None:
        data = self.sock.recv(RECEIVE_SIZE)
        if not data:
            raise ProtocolError("the connection ended within a message")
        self._buffer += data


def _parse_headers(lines: Iterable[bytes]) -> tuple[tuple[str, str], ...]:
    headers = []
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or name != name.strip():
            raise ProtocolError(f"not a header: {line!r}")
        headers.append((name, value.strip()))
    return tuple(headers)


def answers_ping(address: Address) -> bool:
    """Whether an engine listens there and says that it is well."""
    try:
        with Connection(address, timeout=5) as connection:
            return connection.get("/_ping").read() == b"OK"
    except (OSError, ProtocolError):
        return False
