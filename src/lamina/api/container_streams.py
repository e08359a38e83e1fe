"""``/containers/{id}/…``: what a container says and hears: logs, attach, stats."""

import asyncio
import contextlib

from lamina.api.detach_keys import parse_detach_keys
from lamina.api.endless import until_stopped
from lamina.api.exchange import JSON, Exchange, encode_value
from lamina.api.frames import MULTIPLEXED_STREAM, RAW_STREAM
from lamina.api.router import PageNotFound, Route
from lamina.api.stdio import Session, hijack, on_wire
from lamina.api.together import send_together
from lamina.api.web_stream import WebStreamClosed, open_web_stream
from lamina.api.websocket import ProtocolError
from lamina.container_api import ContainerApi
from lamina.errors import InvalidParameter


class ContainerStreamHandlers:
    """Carries the output and input of containers. Streams end when `stopping` is set."""

    def __init__(self, engine: ContainerApi, *, stopping: asyncio.Event) -> None:
        self._engine = engine
        self._stopping = stopping

    def routes(self) -> list[Route]:
        """The routes this resource serves."""
        return [
            Route("GET", "/containers/{name}/logs", self.logs),
            Route("GET", "/containers/{name}/stats", self.stats),
            Route("POST", "/containers/{name}/attach", self.attach),
            Route("GET", "/containers/{name}/ws", self.attach_websocket),
        ]

    async def logs(self, exchange: Exchange) -> None:
        """``GET /containers/{name}/logs``."""
        query = exchange.query
        stdout, stderr = query.flag("stdout"), query.flag("stderr")
        if not (stdout or stderr):
            raise InvalidParameter("Bad parameters: you must choose at least one stream")
        opened = self._engine.container_logs(
            exchange.name,
            follow=query.flag("follow"),
            stdout=stdout,
            stderr=stderr,
            since=query.text("since"),
            until=query.text("until") if exchange.version >= (1, 35) else "",
            timestamps=query.flag("timestamps"),
            tail=query.text("tail") or "all",
        )
        async with opened as output:
            tty = output.tty
            is_told = not tty and exchange.version >= (1, 42)
            exchange.begin(MULTIPLEXED_STREAM if is_told else RAW_STREAM)
            pieces = (on_wire(frame, tty=tty) async for frame in output)
            async with contextlib.aclosing(pieces):
                await send_together(pieces, exchange.write, self._stopping)

    async def stats(self, exchange: Exchange) -> None:
        """``GET /containers/{name}/stats``: one JSON object a line."""
        query = exchange.query
        stream = query.flag("stream", default=True)
        one_shot = exchange.version >= (1, 41) and query.flag("one-shot")
        if stream and one_shot:
            raise InvalidParameter("cannot have stream=true and one-shot=true")
        measured = self._engine.container_stats(exchange.name, stream=stream, one_shot=one_shot)
        async with (
            contextlib.aclosing(measured),
            contextlib.aclosing(until_stopped(self._stopping, measured)) as stats,
        ):
            async for measurement in stats:
                if not exchange.begun:
                    exchange.begin(JSON)
                await exchange.write(encode_value(measurement))
        if not exchange.begun:
            exchange.begin(JSON)

    async def attach(self, exchange: Exchange) -> None:
        """``POST /containers/{name}/attach``."""
        query = exchange.query
        stdin, stdout, stderr = (query.flag(name) for name in ("stdin", "stdout", "stderr"))
        keys = parse_detach_keys(query.text("detachKeys"))
        opened = self._engine.container_attach(
            exchange.name,
            stream=query.flag("stream"),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            logs=query.flag("logs"),
        )
        async with opened as attachment:
            connection = hijack(exchange, tty=attachment.tty)
            session = Session(
                connection,
                attachment,
                reads=stdin,
                writes=stdout or stderr,
                framed=not attachment.tty,
                detach_keys=keys,
            )
            await session.run(self._stopping)

    async def attach_websocket(self, exchange: Exchange) -> None:
        """``GET /containers/{name}/attach/ws``: both outputs as they come, and no frames of ours.

        Until API 1.42 all three streams are meant.
        """
        name = exchange.name.removesuffix("/attach")
        if name == exchange.name:
            raise PageNotFound
        query = exchange.query
        everything = exchange.version < (1, 42)
        stdin, stdout, stderr = (
            everything or query.flag(name) for name in ("stdin", "stdout", "stderr")
        )
        keys = parse_detach_keys(query.text("detachKeys"))
        opened = self._engine.container_attach(
            name,
            stream=query.flag("stream"),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            logs=query.flag("logs"),
        )
        async with opened as attachment:
            stream = open_web_stream(exchange)
            session = Session(
                stream,
                attachment,
                reads=stdin,
                writes=stdout or stderr,
                framed=False,
                detach_keys=keys,
            )
            with contextlib.suppress(WebStreamClosed, ProtocolError):
                await session.run(self._stopping)
            await stream.close()
