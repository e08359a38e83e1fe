"""``/containers/{id}/exec`` and ``/exec/…``: commands run inside of a container."""

import asyncio
import logging

import msgspec

from lamina.api.container_bodies import read_exec
from lamina.api.container_life import terminal_size
from lamina.api.detach_keys import parse_detach_keys
from lamina.api.exchange import Exchange
from lamina.api.json_body import read_fields
from lamina.api.router import Route
from lamina.api.stdio import Session, hijack, on_wire
from lamina.container_api import ContainerApi
from lamina.errors import LaminaError
from lamina.streams import Frame

_STDOUT = 1


class StartBody(msgspec.Struct, rename="pascal", kw_only=True):
    """The body of ``POST /exec/{id}/start``; `console_size` is height and width."""

    detach: bool = False
    tty: bool = False
    console_size: tuple[int, int] | None = None


class ExecHandlers:
    """Prepares and runs commands in containers. Streams end when `stopping` is set."""

    def __init__(
        self, engine: ContainerApi, *, stopping: asyncio.Event, log: logging.Logger
    ) -> None:
        self._engine = engine
        self._stopping = stopping
        self._log = log

    def routes(self) -> list[Route]:
        """The routes this resource serves."""
        return [
            Route("POST", "/containers/{name}/exec", self.create),
            Route("POST", "/exec/{name}/start", self.start),
            Route("POST", "/exec/{name}/resize", self.resize),
            Route("GET", "/exec/{name}/json", self.inspect),
        ]

    async def create(self, exchange: Exchange) -> None:
        """``POST /containers/{name}/exec``."""
        config = await read_exec(exchange)
        parse_detach_keys(config.detach_keys)
        exchange.reply_value(await self._engine.container_exec(exchange.name, config), 201)

    async def start(self, exchange: Exchange) -> None:
        """``POST /exec/{name}/start``.

        Clients have the connection before the command runs, and are told over it what went wrong.
        """
        body = await read_fields(exchange, StartBody) or StartBody()
        found = await self._engine.exec_inspect(exchange.name)
        size = body.console_size if body.tty and exchange.version >= (1, 42) else None
        opened = self._engine.exec_start(
            exchange.name, detach=body.detach, tty=body.tty, console_size=size
        )
        if body.detach:
            async with opened:
                exchange.reply(200, content_type="")
            return
        keys = parse_detach_keys(found.detach_keys)
        connection = hijack(exchange, tty=body.tty)
        try:
            async with opened as attachment:
                session = Session(
                    connection,
                    attachment,
                    reads=found.open_stdin,
                    writes=found.open_stdout or found.open_stderr,
                    framed=not body.tty,
                    detach_keys=keys,
                )
                await session.run(self._stopping)
        except LaminaError as error:
            self._log.error("exec %s failed: %s", exchange.name, error)
            await connection.write(on_wire(Frame(_STDOUT, f"{error}\r\n".encode()), tty=body.tty))

    async def resize(self, exchange: Exchange) -> None:
        """``POST /exec/{name}/resize``."""
        height, width = terminal_size(exchange)
        await self._engine.exec_resize(exchange.name, h=height, w=width)
        exchange.reply(200, content_type="")

    async def inspect(self, exchange: Exchange) -> None:
        """``GET /exec/{name}/json``."""
        exchange.reply_value(await self._engine.exec_inspect(exchange.name))
