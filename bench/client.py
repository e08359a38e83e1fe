"""The client both engines are measured with: keep-alive, as little work per request as possible.

Everything it does costs both engines the same, and makes the faster one look slower than it is: so
requests are encoded beforehand, bodies go out by sendfile and come in through one buffer, unparsed.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.real.rawhttp import Connection, Response

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class UnexpectedAnswerError(Exception):
    """An engine did not do what was asked, so there is nothing to measure."""


class BenchClient:
    """One keep-alive connection to an engine's unix socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._connection = Connection(socket, timeout=600)
        self._buffer = bytearray(1 << 20)

    def close(self) -> None:
        self._connection.close()

    def many(self, requests: Sequence[bytes]) -> None:
        """Send encoded requests one after the other, each after the answer to the last.

        Raises UnexpectedAnswerError on a status that is not 2xx.
        """
        sock, buffer = self._connection.sock, memoryview(self._buffer)
        for request in requests:
            sock.sendall(request)
            data = bytes(buffer[: sock.recv_into(buffer)])
            while (end := data.find(b"\r\n\r\n")) < 0:
                data += self._more(data)
            if data[9:10] != b"2":
                raise UnexpectedAnswerError(data[:500])
            if length := _LENGTH.search(data, 0, end):
                left = end + 4 + int(length[1]) - len(data)
                while left > 0:
                    left -= len(self._more(data))
            elif _CHUNKED.search(data, 0, end):
                # JSON has no CR LF of its own, so only the last chunk ends like this.
                tail = data
                while not tail.endswith(_LAST_CHUNK):
                    tail = tail[-8:] + self._more(data)

    def _more(self, so_far: bytes) -> bytes:
        data = self._connection.sock.recv(1 << 18)
        if not data:
            raise UnexpectedAnswerError("the connection ended within an answer", so_far[:500])
        return data

    def upload(self, target: str, path: Path) -> None:
        """POST a file as a tar. Raises UnexpectedAnswerError if the stream reports an error."""
        with Connection(self._socket, timeout=600) as connection:
            answer = connection.send_file("POST", target, path, content_type="application/x-tar")
            body = answer.read()
        if answer.status != 200 or b'"error' in body:
            raise UnexpectedAnswerError(target, answer.status, body[-500:])

    def transfer(self, target: str) -> None:
        """POST a push or a pull. Raises UnexpectedAnswerError if the stream reports an error."""
        with Connection(self._socket, timeout=600) as connection:
            headers = {"X-Registry-Auth": "e30="}
            answer = connection.request("POST", target, headers=headers, body=b"")
            body = answer.read()
        if answer.status != 200 or b'"error' in body:
            raise UnexpectedAnswerError(target, answer.status, body[-500:])

    def download(self, target: str) -> int:
        """GET a body and forget it; returns the bytes on the wire."""
        request = encode("GET", target, "Connection: close\r\n")
        with Connection(self._socket, timeout=600) as connection:
            connection.sock.sendall(request)
            buffer, total, head = memoryview(self._buffer), 0, b""
            last = b""
            while count := connection.sock.recv_into(buffer):
                if not head:
                    head = bytes(buffer[: min(count, 4096)])
                total += count
                last = (last + bytes(buffer[max(0, count - 7) : count]))[-7:]
        length = _LENGTH.search(head)
        whole = last.endswith(_LAST_CHUNK) if length is None else total > int(length[1])
        if head[9:12] != b"200" or not whole:
            raise UnexpectedAnswerError(target, head[:500], last)
        return total

    def ask(self, method: str, target: str) -> Response:
        """An ordinary request whose body has yet to be read."""
        return self._connection.request(method, target)

    def do_json(self, method: str, target: str, value: object = None) -> Any:  # noqa: ANN401
        """A request with a JSON body, or none, that must succeed; returns the JSON it gives."""
        body = b"" if value is None else json.dumps(value).encode()
        headers = {"Content-Type": "application/json"}
        answer = self._connection.request(method, target, headers=headers, body=body)
        if not 200 <= answer.status < 300:
            raise UnexpectedAnswerError(method, target, answer.status, answer.read()[:500])
        return answer.json()

    @contextmanager
    def waiting(self, target: str) -> Iterator[Response]:
        """POST what is answered later, on a connection of its own; its head has come already."""
        with Connection(self._socket, timeout=600) as connection:
            yield connection.request("POST", target, body=b"")

    def do(self, method: str, target: str) -> bytes:
        """A request that must succeed; returns its body."""
        answer = self.ask(method, target)
        body = answer.read()
        if not 200 <= answer.status < 300:
            raise UnexpectedAnswerError(method, target, answer.status, body[:500])
        return body


def encode(method: str, target: str, headers: str = "") -> bytes:
    """A request without a body, as bytes."""
    return f"{method} {target} HTTP/1.1\r\nHost: docker\r\n{headers}\r\n".encode()
