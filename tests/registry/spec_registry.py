"""Uploads as the OCI distribution specification wants them, resumable in the middle of a request.

Debian's docker-registry forgets an upload of which a request broke off; others do not, and for them
there is this one.
"""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

from aiohttp import ClientError, web

from lamina.oci.digest import Digest


class SpecRegistry:
    """Keeps blobs and uploads in memory."""

    def __init__(self) -> None:
        self.uploads: dict[str, bytearray] = {}
        self.blobs: dict[Digest, bytes] = {}
        self.address = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["SpecRegistry"]:
        runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.address = f"127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        split = urlsplit(str(request.rel_url))
        if split.path == "/v2/":
            return web.Response()
        if request.method == "POST":
            key = f"u{len(self.uploads)}"
            self.uploads[key] = bytearray()
            return self._status(202, key)
        key = split.path.rpartition("/")[2]
        upload = self.uploads.get(key)
        if upload is None:
            return web.Response(status=404)
        if request.method == "GET":
            return self._status(204, key)
        begins = request.headers.get("Content-Range", f"{len(upload)}-").partition("-")[0]
        if int(begins) != len(upload):
            return self._status(416, key)
        # What came before a break is kept.
        with contextlib.suppress(ClientError, ConnectionError, web.RequestPayloadError):
            async for piece in request.content.iter_any():
                upload += piece
        if request.method == "PATCH":
            return self._status(202, key)
        digest = Digest.parse(parse_qs(split.query)["digest"][0])
        if Digest.of(bytes(upload)) != digest:
            return web.Response(status=400)
        self.blobs[digest] = bytes(self.uploads.pop(key))
        return web.Response(status=201)

    def _status(self, status: int, key: str) -> web.Response:
        return web.Response(
            status=status,
            headers={
                "Location": f"/v2/x/blobs/uploads/{key}",
                "Range": f"0-{max(0, len(self.uploads[key]) - 1)}",
            },
        )
