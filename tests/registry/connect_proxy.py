"""An HTTP proxy that tunnels (CONNECT), in the clear or itself behind TLS.

Wherever a tunnel is meant to lead, it leads to that port of this machine.
"""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class ConnectProxy:
    """The running proxy; `targets` are the tunnels it was asked for. `login` is ``user:password``.

    It breaks off a tunnel that has brought `cut` bytes back, once.
    """

    login: str = ""
    cut: int | None = None
    port: int = 0
    targets: list[str] = field(default_factory=list)
    tunnels: set[asyncio.Task[None]] = field(default_factory=set)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tunnels.add(asyncio.create_task(self._handle(reader, writer)))

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, target, _ = head[0].split()
            assert method == "CONNECT", head
            self.targets.append(target)
            secret = base64.b64encode(self.login.encode()).decode()
            if self.login and f"Proxy-Authorization: Basic {secret}" not in head:
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            else:
                await self._tunnel(reader, writer, int(target.rpartition(":")[2]))
        await _close(writer)

    async def _tunnel(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int
    ) -> None:
        from_registry, to_registry = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        back = asyncio.create_task(self._copy_back(from_registry, writer))
        forth = asyncio.create_task(_copy(reader, to_registry))
        await asyncio.wait({back, forth}, return_when=asyncio.FIRST_COMPLETED)
        for copying in (back, forth):
            copying.cancel()
        await asyncio.gather(back, forth, return_exceptions=True)
        await _close(to_registry)

    async def _copy_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came = 0
        while data := await reader.read(1 << 16):
            came += len(data)
            if self.cut is not None and came > self.cut:
                self.cut = None
                return
            writer.write(data)
            await writer.drain()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


@asynccontextmanager
async def connect_proxy(
    *, tls: ssl.SSLContext | None = None, login: str = ""
) -> AsyncIterator[ConnectProxy]:
    """The proxy on a free port of 127.0.0.1."""
    proxy = ConnectProxy(login)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0, ssl=tls)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for tunnel in proxy.tunnels:
            await tunnel
