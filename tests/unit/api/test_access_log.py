import json
import logging
import re
import socket
from pathlib import Path

from lamina.api.access_log import AccessLog, LogFormat
from lamina.api.server import Server
from tests.unit.api.memory import MemoryEngine
from tests.unit.api.wire import connect


async def lines(directory: Path, format: LogFormat, *paths: str) -> list[str]:
    written: list[str] = []
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(directory / "s"))
    server = Server(
        MemoryEngine(),
        version="1",
        log=logging.getLogger("test"),
        access_log=AccessLog(written.append, format=format),
    )
    await server.listen(sock)
    async with connect(directory / "s") as wire:
        for path in paths:
            await wire.ask("POST", path, body=b"tar!")
    await server.stop(timeout=5)
    return "".join(written).splitlines()


async def test_a_request_is_one_line_of_logfmt(socket_directory: Path) -> None:
    load, missing = await lines(socket_directory, "logfmt", "/images/load?quiet=1", "/nosuch")
    assert re.fullmatch(
        r"ts=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=info msg=request method=POST "
        r"path=/images/load\?quiet=1 status=200 ms=\d+\.\d{3} in=4 out=39",
        load,
    )
    assert " status=404 " in missing


async def test_a_path_that_could_be_misread_is_quoted(socket_directory: Path) -> None:
    (line,) = await lines(socket_directory, "logfmt", '/a"b?x=y')
    assert r' path="/a\"b?x=y" status=404 ' in line


async def test_a_request_is_one_line_of_json(socket_directory: Path) -> None:
    (line,) = await lines(socket_directory, "json", "/images/load")
    fields = json.loads(line)
    assert fields.pop("ts").endswith("Z")
    assert fields.pop("ms") >= 0
    assert fields == {
        "level": "info",
        "msg": "request",
        "method": "POST",
        "path": "/images/load",
        "status": 200,
        "in": 4,
        "out": 39,
    }
