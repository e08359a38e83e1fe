"""A proxy in front of a registry that does to chosen requests what networks and servers do.

Without a fault for it, a request goes through as it is. Every request is written down.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to requests whose ``METHOD /path?query`` matches `on`, the next `times` times.

    One of: answer with `status`, `headers` and `body` without asking the registry; break off the
    request's body after `cut_request` bytes; break off the answer's body after `cut` bytes, or
    `stall` there until the proxy ends; change the byte at `flip`; announce `length` bytes more than
    there are; `forget_range` of the request; change `headers` of the answer.
    """

    on: str
    times: int = 1
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut_request: int | None = None
    cut: int | None = None
    stall: int | None = None
    flip: int | None = None
    length: int = 0
    forget_range: bool = False


@dataclass(frozen=True)
class Seen:
    """One request as it came."""

    method: str
    path: str
    headers: CIMultiDictProxy[str]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class FaultProxy:
    """The running proxy. `faults` may be changed at any time; the first that matches counts."""

    def __init__(self, upstream: str | None) -> None:
        self._upstream = upstream
        self._session: aiohttp.ClientSession
        self._ending = asyncio.Event()
        self._used: dict[int, int] = {}
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.port = 0

    @property
    def address(self) -> str:
        """As an image reference begins."""
        return f"127.0.0.1:{self.port}"

    def requests(self, pattern: str) -> list[Seen]:
        """The requests seen so far that match."""
        return [seen for seen in self.seen if re.search(pattern, str(seen))]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FaultProxy"]:
        server = web.Server(self._handle, keepalive_timeout=5)
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = int(runner.addresses[0][1])
        try:
            async with aiohttp.ClientSession(auto_decompress=False) as self._session:
                yield self
                self._ending.set()
        finally:
            await runner.cleanup()

    def _fault(self, request: web.BaseRequest) -> Fault | None:
        line = f"{request.method} {request.rel_url}"
        for fault in self.faults:
            used = self._used.get(id(fault), 0)
            if used < fault.times and re.search(fault.on, line):
                self._used[id(fault)] = used + 1
                return fault
        return None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append(Seen(request.method, str(request.rel_url), request.headers))
        fault = self._fault(request) or Fault(on="")
        if fault.status is not None or self._upstream is None:
            await request.read()
            return web.Response(
                status=fault.status or 404, headers=CIMultiDict(fault.headers), body=fault.body
            )
        if fault.cut_request is not None:
            return await self._cut_request(request, fault.cut_request)
        return await self._forward(request, fault)

    async def _cut_request(self, request: web.BaseRequest, size: int) -> web.StreamResponse:
        """Hand a part of the request to the registry, then break both connections."""
        assert self._upstream is not None
        part = b""
        while len(part) < size:
            piece = await request.content.read(size - len(part))
            assert piece, f"the request has no {size} bytes"
            part += piece
        url = URL(f"http://{self._upstream}{request.raw_path}", encoded=True)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        lines = [f"{request.method} {request.raw_path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + part)
        await writer.drain()
        writer.write_eof()
        # Until the registry has noticed, so that it has kept what it got.
        await reader.read()
        writer.close()
        return self._abort(request)

    def _abort(self, request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def _forward(self, request: web.BaseRequest, fault: Fault) -> web.StreamResponse:
        headers = CIMultiDict(request.headers)
        # A body of unknown length is chunked anew.
        headers.pop("Transfer-Encoding", None)
        if fault.forget_range:
            headers.pop("Range", None)
        has_body = request.body_exists
        async with self._session.request(
            request.method,
            URL(f"http://{self._upstream}{request.raw_path}", encoded=True),
            headers=headers,
            data=request.content.iter_chunked(1 << 16) if has_body else None,
            allow_redirects=False,
        ) as answer:
            given = CIMultiDict(
                (name, value) for name, value in answer.headers.items() if name.lower() not in _HOP
            )
            for name, value in fault.headers.items():
                given[name] = value
            if answer.content_length is not None:
                given["Content-Length"] = str(answer.content_length + fault.length)
            response = web.StreamResponse(status=answer.status, headers=given)
            await response.prepare(request)
            return await self._send_body(request, response, answer, fault)

    async def _send_body(
        self,
        request: web.BaseRequest,
        response: web.StreamResponse,
        answer: aiohttp.ClientResponse,
        fault: Fault,
    ) -> web.StreamResponse:
        sent = 0
        end = fault.cut if fault.cut is not None else fault.stall
        async for piece in answer.content.iter_chunked(1 << 16):
            data = bytearray(piece)
            if fault.flip is not None and 0 <= fault.flip - sent < len(data):
                data[fault.flip - sent] ^= 0xFF
            if end is not None and sent + len(data) > end:
                await response.write(bytes(data[: end - sent]))
                if fault.stall is not None:
                    await self._ending.wait()
                return self._abort(request)
            await response.write(bytes(data))
            sent += len(data)
        if fault.length > 0:
            return self._abort(request)
        await response.write_eof()
        return response
