"""``/containers/{id}/…``: the files of a container as tar archives."""

import base64

import msgspec

from lamina.api.download import send_stream
from lamina.api.exchange import Exchange
from lamina.api.json_body import read_fields
from lamina.api.json_text import encode_json
from lamina.api.router import PageNotFound, Route
from lamina.container_api import ContainerApi
from lamina.errors import InvalidParameter
from lamina.models import PathStat

_TAR = "application/x-tar"


class CopyBody(msgspec.Struct, rename="pascal"):
    """What clients of before API 1.24 copy out of a container."""

    resource: str = ""


class ContainerFileHandlers:
    """Moves files in and out of containers."""

    def __init__(self, engine: ContainerApi) -> None:
        self._engine = engine

    def routes(self) -> list[Route]:
        """The routes this resource serves."""
        return [
            Route("GET", "/containers/{name}/export", self.export),
            Route("HEAD", "/containers/{name}/archive", self.stat),
            Route("GET", "/containers/{name}/archive", self.get),
            Route("PUT", "/containers/{name}/archive", self.put),
            Route("POST", "/containers/{name}/copy", self.copy),
        ]

    async def export(self, exchange: Exchange) -> None:
        """``GET /containers/{name}/export``."""
        async with self._engine.container_export(exchange.name) as stream:
            await send_stream(exchange, stream, "application/octet-stream")

    async def stat(self, exchange: Exchange) -> None:
        """``HEAD /containers/{name}/archive``."""
        stat = await self._engine.container_archive_info(exchange.name, path=_path(exchange))
        exchange.reply(200, content_type="", headers=_stat_header(stat))

    async def get(self, exchange: Exchange) -> None:
        """``GET /containers/{name}/archive``."""
        opened = self._engine.container_archive(exchange.name, path=_path(exchange))
        async with opened as archive:
            await send_stream(exchange, archive, _TAR, headers=_stat_header(archive.stat))

    async def put(self, exchange: Exchange) -> None:
        """``PUT /containers/{name}/archive``."""
        query = exchange.query
        await self._engine.put_container_archive(
            exchange.name,
            exchange.body(),
            path=_path(exchange),
            no_overwrite_dir_non_dir=query.flag("noOverwriteDirNonDir"),
            copy_uidgid=query.flag("copyUIDGID"),
        )
        exchange.reply(200, content_type="")

    async def copy(self, exchange: Exchange) -> None:
        """``POST /containers/{name}/copy``: how files were read before API 1.24."""
        if exchange.version >= (1, 24):
            raise PageNotFound
        body = await read_fields(exchange, CopyBody) or CopyBody()
        if not body.resource:
            raise InvalidParameter("Path cannot be empty")
        opened = self._engine.container_archive(exchange.name, path=body.resource)
        async with opened as archive:
            await send_stream(exchange, archive, _TAR)


def _path(exchange: Exchange) -> str:
    path = exchange.query.text("path")
    if not path:
        # dockerd's own words, without a blank.
        raise InvalidParameter("bad parameter: pathcannot be empty")
    return path


def _stat_header(stat: PathStat) -> str:
    encoded = base64.b64encode(encode_json(stat)).decode()
    return f"X-Docker-Container-Path-Stat: {encoded}\r\n"
