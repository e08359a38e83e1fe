import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.real.rawhttp import Connection, ProtocolError


@contextmanager
def peer(*pieces: bytes) -> Iterator[tuple[Connection, list[bytes]]]:
    """A server that sends these bytes, one send a piece, after each first byte that it hears."""
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            heard.append(connection.recv(1 << 16))
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(1 << 16):
                heard.append(data)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with Connection(listener.getsockname()) as connection:
            yield connection, heard
    finally:
        thread.join()


def test_chunks_are_given_as_they_were_framed() -> None:
    head = b"HTTP/1.1 200 OK\r\nX-One: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    with peer(head, b"3\r\nab", b"c\r\n4;x=y\r\ndefg\r\n0\r\nT: 1\r\n\r\n") as (connection, _):
        response = connection.get("/")
        assert response.head == head
        assert response.headers == (("X-One", "1"), ("Transfer-Encoding", "chunked"))
        assert list(response.chunks()) == [b"abc", b"defg"]
        assert response.trailers == (("T", "1"),)
        assert response.read_chunk() is None


def test_a_connection_is_reused_after_a_body_of_known_length() -> None:
    answer = b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}"
    with peer(answer + answer) as (connection, _):
        for _ in range(2):
            response = connection.get("/x")
            assert (response.status, response.reason) == (404, "Not Found")
            assert response.header("Content-Length") == "2"
            assert response.json() == {}


def test_head_and_no_content_have_no_body() -> None:
    first = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    with peer(first, b"HTTP/1.1 204 No Content\r\n\r\n") as (connection, _):
        response = connection.request("HEAD", "/")
        assert (response.framing, response.read()) == ("none", b"")
        assert connection.get("/").read() == b""


def test_pieces_without_a_length_are_sent_as_chunks() -> None:
    with peer(b"HTTP/1.1 200 OK\r\n\r\nuntil the end") as (connection, heard):
        response = connection.request("POST", "/", body=iter([b"one", b"three"]))
        assert response.framing == "close"
        assert response.read() == b"until the end"
    sent = b"".join(heard)
    assert b"Transfer-Encoding: chunked\r\n" in sent
    assert sent.endswith(b"\r\n\r\n3\r\none\r\n5\r\nthree\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    "body", [b"5\r\nabc", b"x\r\n", b"3\r\nabcd\r\n", b""], ids=["cut", "size", "line end", "none"]
)
def test_a_broken_chunked_body_is_an_error(body: bytes) -> None:
    with peer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body) as (connection, _):
        response = connection.get("/")
        with pytest.raises(ProtocolError):
            response.read()


def test_a_body_shorter_than_its_length_is_an_error() -> None:
    with peer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc") as (connection, _):
        response = connection.get("/")
        with pytest.raises(ProtocolError):
            response.drain()
