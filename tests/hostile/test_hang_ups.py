"""Clients that go away in the middle: the work ends with them, and nothing of it stays."""

import json
from collections.abc import Iterator

import pytest

from tests.conformance.stock import at
from tests.conformance.wire import Ask, empty, load, send
from tests.hostile.conftest import content_of
from tests.real.archives import docker_archive
from tests.real.images import file, layer, make_image, tar_of
from tests.real.lamina_daemon import LaminaDaemon
from tests.real.rawhttp import Connection

LARGE = make_image(layer(file("large", bytes(range(256)) * 20_000)), created=at(1))
ARCHIVE = tar_of(docker_archive((LARGE, ["large:1"])))


@pytest.fixture
def daemon(attacked_daemon: LaminaDaemon) -> Iterator[LaminaDaemon]:
    empty(attacked_daemon.socket)
    yield attacked_daemon
    empty(attacked_daemon.socket)


def head(target: str, *, length: int) -> bytes:
    return f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()


def assert_nothing_left(daemon: LaminaDaemon) -> None:
    """A prune waits for nobody, so what the hung-up request held must be free by then."""
    assert send(daemon.socket, Ask("GET", "/images/json?all=1")).json() == []
    assert send(daemon.socket, Ask("POST", "/images/prune")).status == 200
    assert content_of(daemon.root) == []


@pytest.mark.parametrize("missing", [0.0, 0.001, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("target", ["/images/load", "/images/create?fromSrc=-&repo=x"])
def test_an_upload_that_breaks_off(daemon: LaminaDaemon, target: str, missing: float) -> None:
    body = ARCHIVE if "load" in target else LARGE.layers[0]
    sent = min(round(len(body) * (1 - missing)), len(body) - 1)
    for _ in range(3):
        with Connection(daemon.socket) as connection:
            connection.sock.sendall(head(target, length=len(body)) + body[:sent])
    # Its request was read after theirs, on the one event loop: theirs have ended or soon will.
    load(daemon.socket, ARCHIVE)
    assert send(daemon.socket, Ask("DELETE", "/images/large:1")).status == 200
    assert_nothing_left(daemon)


def test_a_download_that_breaks_off(daemon: LaminaDaemon) -> None:
    load(daemon.socket, ARCHIVE)
    for size in (1, 10_000, 1_000_000):
        with Connection(daemon.socket) as connection:
            response = connection.get("/images/large:1/get")
            assert response.status == 200
            received = 0
            for piece in response.stream():
                received += len(piece)
                if received >= size:
                    break
    # What was being read is not protected any longer than that.
    lines = send(daemon.socket, Ask("DELETE", "/images/large:1")).json()
    assert {"Deleted": LARGE.id} in lines
    assert_nothing_left(daemon)


def test_the_archive_of_a_build_that_breaks_off(daemon: LaminaDaemon) -> None:
    dockerfile = b"FROM scratch\nCOPY large /\n"
    context = tar_of({"Dockerfile": dockerfile, "large": bytes(range(256)) * 100_000})
    for outputs in ("type=tar", "type=oci"):
        with Connection(daemon.socket) as connection:
            response = connection.request("POST", f"/build?t=large&outputs={outputs}", body=context)
            assert (response.status, response.header("Content-Type")) == (200, "application/x-tar")
            assert response.read_chunk()
        lines = send(daemon.socket, Ask("DELETE", "/images/large")).json()
        assert any("Deleted" in line for line in lines)
        assert_nothing_left(daemon)


def test_a_chunked_upload_that_lies(daemon: LaminaDaemon) -> None:
    with Connection(daemon.socket) as connection:
        request = b"POST /images/load HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sock.sendall(request + b"ffffff\r\n" + ARCHIVE[:1000] + b"\r\nnonsense\r\n")
    assert_nothing_left(daemon)


def test_a_listener_that_goes_away(daemon: LaminaDaemon) -> None:
    for _ in range(5):
        with Connection(daemon.socket) as connection:
            assert connection.get("/events").status == 200
    with Connection(daemon.socket) as connection:
        listening = connection.get('/events?filters={"event":["load"]}')
        load(daemon.socket, ARCHIVE)
        first = listening.read_chunk()
    assert first is not None
    assert json.loads(first)["Actor"]["ID"] == LARGE.id
