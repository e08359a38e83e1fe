"""``/images/…``: what carries image data: save, load, import, pull.

Archives flow through in both directions with flat memory: the engine takes chunks of an upload as
it can work on them, and is asked for the next chunk of a download when the client has taken the
last.
"""

import logging
from contextlib import AbstractAsyncContextManager

from lamina.api.download import TAR, send_stream
from lamina.api.exchange import Exchange
from lamina.api.progress_stream import send_progress
from lamina.api.registry_headers import meta_headers, registry_auth
from lamina.api.router import Route
from lamina.errors import InvalidParameter
from lamina.image_api import ImageApi
from lamina.streams import ByteStream


class ArchiveHandlers:
    """Moves image archives and root filesystems in and out."""

    def __init__(self, engine: ImageApi, *, log: logging.Logger) -> None:
        self._engine = engine
        self._log = log

    def routes(self) -> list[Route]:
        """The routes this resource serves."""
        return [
            Route("GET", "/images/get", self.get_all),
            Route("GET", "/images/{name}/get", self.get),
            Route("POST", "/images/load", self.load),
            Route("POST", "/images/create", self.create),
        ]

    async def get(self, exchange: Exchange) -> None:
        """``GET /images/{name}/get``."""
        await _send_archive(exchange, self._engine.image_get(exchange.name))

    async def get_all(self, exchange: Exchange) -> None:
        """``GET /images/get``."""
        names = exchange.query.texts("names")
        await _send_archive(exchange, self._engine.image_get_all(names))

    async def load(self, exchange: Exchange) -> None:
        """``POST /images/load``: always status 200, as clients look for errors in the stream."""
        quiet = exchange.query.flag("quiet", default=True)
        operation = self._engine.image_load(exchange.body(), quiet=quiet)
        await send_progress(exchange, operation, log=self._log, errors_in_stream=True)

    async def create(self, exchange: Exchange) -> None:
        """``POST /images/create``: import a root filesystem, or pull an image."""
        query = exchange.query
        source = query.text("fromSrc")
        platform = query.text("platform") if exchange.version >= (1, 32) else ""
        if image := query.text("fromImage"):
            operation = self._engine.image_create(
                from_image=image,
                tag=query.text("tag"),
                platform=platform,
                x_registry_auth=registry_auth(exchange),
                x_meta=meta_headers(exchange),
            )
        elif source:
            operation = self._engine.image_create(
                from_src=source,
                repo=query.text("repo"),
                tag=query.text("tag"),
                message=query.text("message"),
                changes=query.texts("changes"),
                platform=platform,
                input_image=exchange.body() if source == "-" else None,
            )
        else:
            raise InvalidParameter("either fromImage or fromSrc must be given")
        await send_progress(exchange, operation, log=self._log)


async def _send_archive(
    exchange: Exchange, archive: AbstractAsyncContextManager[ByteStream]
) -> None:
    async with archive as stream:
        await send_stream(exchange, stream, TAR)
