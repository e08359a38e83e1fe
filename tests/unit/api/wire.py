"""HTTP as it lies on the wire, for asyncio: what is sent and what comes is bytes."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Reply:
    """A reply as it came; `chunks` are its chunks as they were framed, if it had any."""

    status: int
    head: str
    headers: dict[str, str]
    body: bytes = b""
    chunks: list[bytes] = field(default_factory=list)

    def json(self) -> Any:  # noqa: ANN401
        return json.loads(self.body)

    @property
    def message(self) -> str:
        assert self.headers["content-type"] == "application/json"
        message = self.json()["message"]
        assert isinstance(message, str)
        return message


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def request(
        self, method: str, path: str, *headers: str, body: bytes | None = None
    ) -> None:
        lines = [f"{method} {path} HTTP/1.1", "Host: d", *headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        await self.send("\r\n".join([*lines, "", ""]).encode() + (body or b""))

    async def head(self) -> Reply:
        raw = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = raw[:-4].split("\r\n")
        fields = [line.partition(": ") for line in lines]
        headers = {name.lower(): value for name, _, value in fields}
        assert len(headers) == len(fields), f"repeated headers: {raw}"
        return Reply(int(status.split()[1]), raw, headers)

    async def chunk(self) -> bytes:
        size = int(await self.reader.readline(), 16)
        data = await self.reader.readexactly(size)
        assert await self.reader.readexactly(2) == b"\r\n"
        return data

    async def reply(self, *, body: bool = True) -> Reply:
        reply = await self.head()
        if not body or reply.status in {204, 304}:
            return reply
        if reply.headers.get("transfer-encoding") == "chunked":
            assert "content-length" not in reply.headers
            while chunk := await self.chunk():
                reply.chunks.append(chunk)
            reply.body = b"".join(reply.chunks)
        elif "content-length" in reply.headers:
            reply.body = await self.reader.readexactly(int(reply.headers["content-length"]))
        else:
            reply.body = await self.reader.read()
        return reply

    async def ask(self, method: str, path: str, *headers: str, body: bytes | None = None) -> Reply:
        await self.request(method, path, *headers, body=body)
        return await self.reply(body=method != "HEAD")

    async def at_end(self) -> bool:
        """Wait for the server to close; False if it sends something instead."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@asynccontextmanager
async def connect(path: Path) -> AsyncIterator[Wire]:
    wire = Wire(*await asyncio.open_unix_connection(path, limit=1 << 22))
    try:
        yield wire
    finally:
        await wire.close()
