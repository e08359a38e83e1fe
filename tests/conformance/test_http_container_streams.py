"""Attached containers and execs: the same bytes over the connection as from dockerd."""

import asyncio
import contextlib
import json
import socket as sockets
from pathlib import Path

import aiohttp
import pytest

from tests.conformance.container_answers import Smoother, unframed
from tests.conformance.container_stories import FOREVER, JSON, create, post, run
from tests.conformance.wire import VERSION, Ask, assert_alike, comparable, send

Sockets = tuple[Path, Path]


def hijacked(socket: Path, ask: Ask, said: bytes, *, start: str = "") -> tuple[str, object]:
    """The head of the answer to a request for a stream, and what came over it.

    `said` is sent once the head is there, and that nothing more follows; then `start` is started.
    """
    headers = {"Host": "d", "Connection": "Upgrade", "Upgrade": "tcp", **ask.headers}
    body = ask.body or b""
    lines = [f"{ask.method} /{VERSION}{ask.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(body)}")
    with sockets.socket(sockets.AF_UNIX) as connection:
        connection.settimeout(240)
        connection.connect(str(socket))
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        heard = bytearray()
        while b"\r\n\r\n" not in heard:
            heard += connection.recv(1)
        if start:
            assert send(socket, post(start, "start")).status == 204
        # What has failed to start hears nothing any more.
        with contextlib.suppress(BrokenPipeError):
            connection.sendall(said)
            connection.shutdown(sockets.SHUT_WR)
        stream = bytearray()
        while data := connection.recv(1 << 16):
            stream += data
    head = [
        line
        for line in heard.decode().splitlines()
        if line.split(":")[0] in {"Content-Type", "Connection", "Upgrade"} or "HTTP/" in line
    ]
    return "\n".join(head), unframed(bytes(stream))


def both_hear(with_busybox: Sockets, *asks: Ask, attach: Ask, said: bytes, start: str) -> object:
    """What both hear alike."""
    heard = []
    for socket in with_busybox:
        for ask in asks:
            assert send(socket, ask).status < 300, ask
        heard.append(hijacked(socket, attach, said, start=start))
    assert_alike(heard[1], heard[0])
    return heard[1]


ATTACH = {"stream": 1, "stdin": 1, "stdout": 1, "stderr": 1}


@pytest.mark.parametrize("tty", [False, True], ids=["frames", "terminal"])
def test_attach_before_the_start(with_busybox: Sockets, *, tty: bool) -> None:
    both_hear(
        with_busybox,
        create("aa", "sh", "-c", "echo out; echo err >&2; exit 3", Tty=tty),
        attach=post("aa", "attach", **ATTACH),
        said=b"",
        start="aa",
    )


def test_what_is_said_reaches_the_process_and_comes_back(with_busybox: Sockets) -> None:
    heard = both_hear(
        with_busybox,
        create("aa", "cat", OpenStdin=True, StdinOnce=True, AttachStdin=True),
        attach=post("aa", "attach", **ATTACH),
        said=b"hello\n" * 50_000,
        start="aa",
    )
    assert isinstance(heard, tuple)
    assert heard[1] == {1: b"hello\n" * 50_000}


def test_only_one_of_the_streams(with_busybox: Sockets) -> None:
    both_hear(
        with_busybox,
        create("aa", "sh", "-c", "echo out; echo err >&2"),
        attach=post("aa", "attach", stream=1, stderr=1),
        said=b"",
        start="aa",
    )


def test_what_was_written_before(with_busybox: Sockets) -> None:
    both_hear(
        with_busybox,
        *run("aa", "sh", "-c", "echo out; echo err >&2"),
        attach=post("aa", "attach", logs=1, stdout=1, stderr=1),
        said=b"",
        start="",
    )


async def web_heard(
    socket: Path, target: str, said: bytes, *, start: str = ""
) -> tuple[str, bytes]:
    """What kind of messages came over a WebSocket, and their bytes.

    `said` is sent, and leave is taken once as much has come back; else the other side does.
    """
    connector = aiohttp.UnixConnector(str(socket))
    async with (
        aiohttp.ClientSession("http://d", connector=connector) as session,
        session.ws_connect(target) as web_socket,
    ):
        if start:
            started = await asyncio.to_thread(send, socket, post(start, "start"))
            assert started.status == 204
        if said:
            await web_socket.send_bytes(said)
        kinds, heard = set(), b""
        # dockerd closes the connection without taking leave.
        while isinstance((message := await web_socket.receive()).data, bytes | str):
            kinds.add(message.type.name)
            heard += message.data.encode() if isinstance(message.data, str) else message.data
            if said and len(heard) >= len(said):
                break
    return " ".join(kinds), heard


ALL = "stream=1&stdin=1&stdout=1&stderr=1"


@pytest.mark.parametrize("version", [VERSION, "v1.27"])
async def test_attach_by_websocket(with_busybox: Sockets, version: str) -> None:
    target = f"/{version}/containers/aa/attach/ws?{ALL}"
    heard, ends = [], []
    for socket in with_busybox:
        made = create("aa", "cat", OpenStdin=True, StdinOnce=True, AttachStdin=True)
        assert send(socket, made).status == 201
        heard.append(await web_heard(socket, target, b"hello\n" * 20_000, start="aa"))
        # It has heard that nothing more is said.
        ends.append(send(socket, post("aa", "wait")).json()["StatusCode"])
    assert heard[1] == heard[0]
    assert heard[1][1] == b"hello\n" * 20_000
    assert ends == [0, 0]


async def test_attach_by_websocket_to_both_outputs_and_to_the_log(with_busybox: Sockets) -> None:
    script = "echo out; echo err >&2; exit 3"
    heard = []
    for socket in with_busybox:
        assert send(socket, create("aa", "sh", "-c", script)).status == 201
        target = f"/{VERSION}/containers/aa/attach/ws?"
        kind, live = await web_heard(socket, f"{target}{ALL}", b"", start="aa")
        send(socket, post("aa", "wait"))
        logged = await web_heard(socket, f"{target}logs=1", b"")
        heard.append((kind, sorted(live.splitlines()), logged[0], sorted(logged[1].splitlines())))
    assert_alike(heard[1], heard[0])
    assert heard[1][1] == [b"err", b"out"]


EXECS: dict[str, dict[str, object]] = {
    "both streams": {"Cmd": ["sh", "-c", "echo out; echo err >&2; exit 3"]},
    "input": {"Cmd": ["cat"], "AttachStdin": True},
    "terminal": {"Cmd": ["sh", "-c", "tty; echo err >&2"], "Tty": True},
    "environment": {"Cmd": ["sh", "-c", "echo $A; pwd; id -un"], "Env": ["A=1"], "User": "nobody"},
    "directory": {"Cmd": ["pwd"], "WorkingDir": "/tmp"},
    "missing user": {"Cmd": ["true"], "User": "none"},
    "not a program": {"Cmd": ["/etc/passwd"]},
    "missing program": {"Cmd": ["none"]},
    "missing file": {"Cmd": ["/none"], "Tty": True},
    "missing directory": {"Cmd": ["true"], "WorkingDir": "/none"},
}


@pytest.mark.parametrize("config", list(EXECS.values()), ids=list(EXECS))
def test_exec(with_busybox: Sockets, config: dict[str, object]) -> None:
    told_by = []
    for socket in with_busybox:
        assert send(socket, create("aa", *FOREVER)).status == 201
        assert send(socket, post("aa", "start")).status == 204
        body = json.dumps({"AttachStdout": True, "AttachStderr": True, **config}).encode()
        made = send(socket, Ask("POST", "/containers/aa/exec", body, JSON))
        exec_id = made.json()["Id"]
        start = json.dumps({"Detach": False, "Tty": config.get("Tty", False)}).encode()
        ask = Ask("POST", f"/exec/{exec_id}/start", start, JSON)
        stream = hijacked(socket, ask, b"hello\n")
        # dockerd may hear of the end of the streams before it does of that of the process.
        while (inspected := send(socket, Ask("GET", f"/exec/{exec_id}/json"))).json()["Running"]:
            pass
        again = send(socket, Ask("POST", f"/exec/{exec_id}/start", b'{"Detach":true}', JSON))
        smooth = Smoother()
        smooth.text(exec_id)
        told_by.append((stream, comparable(inspected, smooth), comparable(again, smooth)))
    assert_alike(told_by[1], told_by[0])
