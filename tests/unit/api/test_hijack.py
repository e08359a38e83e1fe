"""Connections that carry a process's streams after the head of a reply."""

import asyncio
import struct

import pytest

from lamina.models import ExecConfig
from tests.unit.api.conftest import Served
from tests.unit.api.memory_containers import Program
from tests.unit.api.wire import Wire, connect

UPGRADE = ("Connection: Upgrade", "Upgrade: tcp")
ATTACH = "/containers/c/attach?stream=1&stdin=1&stdout=1&stderr=1"


def framed(stream: int, data: bytes) -> bytes:
    return struct.pack(">BxxxL", stream, len(data)) + data


async def ended(wire: Wire) -> bytes:
    return await wire.reader.read()


async def test_a_client_that_asks_for_an_upgrade_gets_one(served: Served, wire: Wire) -> None:
    await wire.request("POST", f"/v1.44{ATTACH}", *UPGRADE)
    reply = await wire.head()
    assert reply.head.startswith("HTTP/1.1 101 UPGRADED\r\n")
    assert reply.headers["connection"] == "Upgrade"
    assert reply.headers["upgrade"] == "tcp"
    assert reply.headers["content-type"] == "application/vnd.docker.multiplexed-stream"
    assert served.engine.calls == [("attach", ("c", True, True, True, True, False))]


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        (f"/v1.41{ATTACH}", "application/vnd.docker.raw-stream"),
        ("/v1.44/containers/tty/attach?stdout=1", "application/vnd.docker.raw-stream"),
    ],
)
async def test_what_is_not_multiplexed_or_an_old_clients_is_called_raw(
    wire: Wire, path: str, content_type: str
) -> None:
    await wire.request("POST", path, *UPGRADE)
    assert (await wire.head()).headers["content-type"] == content_type


async def test_a_client_that_does_not_ask_gets_a_bare_200(wire: Wire) -> None:
    await wire.request("POST", ATTACH)
    reply = await wire.head()
    assert reply.status == 200
    assert "content-length" not in reply.headers
    assert "transfer-encoding" not in reply.headers
    await wire.send(b"hello")
    wire.writer.write_eof()
    assert await ended(wire) == (framed(1, b"hello") + framed(2, b"heard\n") + framed(1, b"bye\n"))


async def test_each_side_may_end_first(served: Served, wire: Wire) -> None:
    await wire.request("POST", ATTACH, *UPGRADE)
    await wire.head()
    wire.writer.write_eof()
    assert await ended(wire) == framed(1, b"bye\n")
    assert served.engine.program("c").input_ended.is_set()


async def test_the_connection_ends_with_the_output(served: Served, wire: Wire) -> None:
    await wire.request("POST", ATTACH, *UPGRADE)
    await wire.head()
    program = served.engine.program("c")
    program.say(2, b"dying")
    program.end()
    assert await ended(wire) == framed(2, b"dying")


async def test_a_terminals_bytes_are_not_framed(served: Served, wire: Wire) -> None:
    await wire.request("POST", "/containers/tty/attach?stdin=1&stdout=1", *UPGRADE)
    await wire.head()
    await wire.send(b"ls\r")
    assert await wire.reader.readexactly(3) == b"ls\r"
    served.engine.program("tty").end()
    assert await ended(wire) == b""


async def test_the_detach_keys_let_go_and_leave_the_input_open(served: Served, wire: Wire) -> None:
    path = "/containers/tty/attach?stdin=1&stdout=1&detachKeys=ctrl-a,b"
    await wire.request("POST", path, *UPGRADE)
    await wire.head()
    await wire.send(b"x\x01")
    assert await wire.reader.readexactly(1) == b"x"
    await wire.send(b"b")
    assert await ended(wire) == b""
    program = served.engine.program("tty")
    assert program.heard == [b"x"]
    assert not program.input_ended.is_set()


async def test_bad_detach_keys_are_told_as_a_status(wire: Wire) -> None:
    reply = await wire.ask("POST", f"{ATTACH}&detachKeys=ctrl-9", *UPGRADE)
    assert (reply.status, reply.message) == (400, "Invalid detach keys (ctrl-9) provided")


async def test_a_missing_container_is_told_as_a_status(wire: Wire) -> None:
    reply = await wire.ask("POST", "/containers/gone/attach?stdout=1", *UPGRADE)
    assert (reply.status, reply.message) == (404, "No such container: gone")


async def test_a_process_that_has_closed_its_input_is_still_heard(
    served: Served, wire: Wire
) -> None:
    program = served.engine.program("c")
    program.deaf = True
    await wire.request("POST", ATTACH, *UPGRADE)
    await wire.head()
    await wire.send(b"x" * 300_000)
    wire.writer.write_eof()
    await program.input_ended.wait()
    assert await ended(wire) == framed(1, b"bye\n")


async def test_a_client_that_hangs_up_is_the_end_of_the_input(served: Served) -> None:
    async with connect(served.path) as wire:
        await wire.request("POST", ATTACH, *UPGRADE)
        await wire.head()
    await served.engine.program("c").input_ended.wait()


async def test_a_slow_client_slows_the_process_down_and_loses_nothing(
    served: Served, wire: Wire
) -> None:
    await wire.request("POST", "/containers/tty/attach?stdout=1", *UPGRADE)
    await wire.head()
    program = served.engine.program("tty")
    for _ in range(64):
        program.say(1, b"x" * (1 << 20))
    program.end()
    size = 0
    while chunk := await wire.reader.read(1 << 20):
        size += len(chunk)
    assert size == 64 << 20


async def test_only_the_input_may_be_attached(served: Served, wire: Wire) -> None:
    await wire.request("POST", "/containers/c/attach?stdin=1&stream=1", *UPGRADE)
    await wire.head()
    await wire.send(b"hello")
    wire.writer.write_eof()
    assert await ended(wire) == b""
    assert served.engine.program("c").heard == [b"hello"]


async def test_a_server_that_stops_ends_what_is_attached(served: Served, wire: Wire) -> None:
    await wire.request("POST", ATTACH, *UPGRADE)
    await wire.head()
    await served.server.stop(timeout=5)
    assert await wire.at_end()


async def test_an_exec_is_started_over_its_connection(served: Served, wire: Wire) -> None:
    served.engine.execs["e0"] = ExecConfig(
        cmd=("cat",), attach_stdin=True, attach_stdout=True, attach_stderr=True
    )
    body = b'{"Detach": false, "Tty": false}'
    await wire.request(
        "POST", "/exec/e0/start", "Content-Type: application/json", *UPGRADE, body=body
    )
    assert (await wire.head()).status == 101
    await wire.send(b"a")
    wire.writer.write_eof()
    assert await ended(wire) == framed(1, b"a") + framed(2, b"heard\n") + framed(1, b"bye\n")
    assert served.engine.calls == [("exec_start", ("e0", False, False, None))]


async def test_whether_an_exec_is_framed_is_for_its_start_to_say(
    served: Served, wire: Wire
) -> None:
    # docker-py starts an exec that has a terminal without telling so.
    served.engine.execs["e0"] = ExecConfig(cmd=("sh",), tty=True, attach_stdout=True)
    program = served.engine.programs["e0"] = Program(tty=True)
    program.say(1, b"$ ")
    program.end()
    await wire.request(
        "POST", "/exec/e0/start", "Content-Type: application/json", *UPGRADE, body=b"{}"
    )
    assert (await wire.head()).status == 101
    assert await ended(wire) == framed(1, b"$ ")


async def test_an_exec_that_fails_says_so_over_the_connection(served: Served, wire: Wire) -> None:
    served.engine.execs["e0"] = ExecConfig(cmd=("missing",), attach_stdout=True)
    await wire.request(
        "POST", "/exec/e0/start", "Content-Type: application/json", *UPGRADE, body=b"{}"
    )
    assert (await wire.head()).status == 101
    message = b'exec: "missing": executable file not found in $PATH: unknown\r\n'
    assert await ended(wire) == framed(1, message)


async def test_a_client_that_is_still_sending_hears_why_it_is_in_vain(
    served: Served, wire: Wire
) -> None:
    served.engine.execs["e0"] = ExecConfig(cmd=("missing",), attach_stdin=True, attach_stdout=True)
    await wire.request(
        "POST", "/exec/e0/start", "Content-Type: application/json", *UPGRADE, body=b"{}"
    )
    await wire.head()
    await wire.send(b"x" * 1_000_000)
    wire.writer.write_eof()
    assert b"executable file not found" in await ended(wire)


async def test_a_detached_exec_answers_at_once(served: Served, wire: Wire) -> None:
    served.engine.execs["e0"] = ExecConfig(cmd=("true",))
    served.engine.execs["e1"] = ExecConfig(cmd=("missing",))
    json = "Content-Type: application/json"
    reply = await wire.ask("POST", "/exec/e0/start", json, body=b'{"Detach":true}')
    assert reply.status == 200
    reply = await wire.ask("POST", "/exec/e1/start", json, body=b'{"Detach":true}')
    assert reply.status == 400
    assert "executable file not found" in reply.message
    reply = await wire.ask("POST", "/exec/nope/start", json, body=b"{}")
    assert (reply.status, reply.message) == (404, "No such exec instance: nope")


async def test_half_a_connection_before_the_reply_is_no_hang_up(served: Served) -> None:
    async with connect(served.path) as wire:
        await wire.request("POST", ATTACH, *UPGRADE)
        wire.writer.write_eof()
        assert (await wire.head()).status == 101
        assert await ended(wire) == framed(1, b"bye\n")


async def test_many_attach_to_one(served: Served) -> None:
    program = Program(tty=True)
    served.engine.programs["tty"] = program

    async def listen() -> int:
        async with connect(served.path) as wire:
            await wire.request("POST", "/containers/tty/attach?stdout=1", *UPGRADE)
            return (await wire.head()).status

    assert await asyncio.gather(*(listen() for _ in range(20))) == [101] * 20
