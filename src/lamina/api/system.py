"""``/_ping``, ``/version``, ``/info``, ``/system/df`` and ``/events``; OPTIONS of anything."""

import asyncio
import contextlib

import msgspec

from lamina.api.endless import until_stopped
from lamina.api.exchange import JSON, PLAIN, Exchange, encode_value
from lamina.api.router import Route
from lamina.api.versions import NEWEST, OLDEST, shape_data_usage
from lamina.models import VersionComponent
from lamina.system_api import SystemApi

_QUIET_START = 0.05
"""Seconds for which ``/events`` waits for an error that could be a status, before it says 200."""


class SystemHandlers:
    """Answers what is asked about the engine itself.

    `stopping` is set when the server goes down: endless streams end then. `experimental` is what
    the engine is said to be.
    """

    def __init__(
        self, engine: SystemApi, *, stopping: asyncio.Event, experimental: bool = False
    ) -> None:
        self._engine = engine
        self._experimental = experimental
        self._stopping = stopping
        self._listeners = 0

    def routes(self) -> list[Route]:
        """The routes this resource serves."""
        return [
            Route("GET", "/_ping", self.ping),
            Route("HEAD", "/_ping", self.ping),
            Route("GET", "/version", self.version),
            Route("GET", "/info", self.info),
            Route("GET", "/system/df", self.data_usage),
            Route("GET", "/events", self.events),
            Route("OPTIONS", "*", self.options),
        ]

    async def ping(self, exchange: Exchange) -> None:
        """``GET`` and ``HEAD /_ping``: what clients ask first, for the sake of its headers."""
        ping = await self._engine.system_ping()
        body = b"" if exchange.method == "HEAD" else b"OK"
        headers = (
            f"Builder-Version: {ping.builder_version}\r\n"
            "Cache-Control: no-cache, no-store, must-revalidate\r\n"
            "Pragma: no-cache\r\nSwarm: inactive\r\n"
        )
        exchange.reply(200, body, PLAIN, headers)

    async def options(self, exchange: Exchange) -> None:
        """``OPTIONS`` of any path: that there is a server."""
        exchange.reply(200, content_type="")

    async def version(self, exchange: Exchange) -> None:
        """``GET /version``. The API's versions are this server's to say."""
        version = await self._engine.system_version()
        exchange.reply_value(
            msgspec.structs.replace(
                version,
                api_version=str(NEWEST),
                min_api_version=str(OLDEST),
                experimental=self._experimental or msgspec.UNSET,
                components=[self._told_here(component) for component in version.components],
            )
        )

    async def info(self, exchange: Exchange) -> None:
        """``GET /info``."""
        info = await self._engine.system_info()
        told = {"nevents_listener": self._listeners, "experimental_build": self._experimental}
        exchange.reply_value(msgspec.structs.replace(info, **told))

    async def data_usage(self, exchange: Exchange) -> None:
        """``GET /system/df``."""
        types = exchange.query.texts("type") if exchange.version >= (1, 42) else []
        usage = await self._engine.system_data_usage(types=types)
        exchange.reply_value(shape_data_usage(usage, exchange.version))

    async def events(self, exchange: Exchange) -> None:
        """``GET /events``: one JSON object a line, until the client or the server goes."""
        query = exchange.query
        events = self._engine.system_events(
            since=query.text("since"), until=query.text("until"), filters=query.filters()
        )
        self._listeners += 1
        try:
            async with (
                contextlib.aclosing(events),
                contextlib.aclosing(
                    until_stopped(self._stopping, events, quiet_start=_QUIET_START)
                ) as messages,
            ):
                async for message in messages:
                    if not exchange.begun:
                        exchange.begin(JSON)
                    if message is not None:
                        await exchange.write(encode_value(message))
            if not exchange.begun:
                exchange.begin(JSON)
        finally:
            self._listeners -= 1

    def _told_here(self, component: VersionComponent) -> VersionComponent:
        """The engine's component, with what is this server's to say."""
        details = component.details
        if not details or "ApiVersion" not in details:
            return component
        here = {
            "ApiVersion": str(NEWEST),
            "Experimental": "true" if self._experimental else "false",
            "MinAPIVersion": str(OLDEST),
        }
        return msgspec.structs.replace(component, details={**details, **here})
