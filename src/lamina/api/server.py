"""The HTTP server: connections in, answers of an engine out.

It listens on sockets which `lamina.daemon` has opened, and stops in three steps: no new
connections; requests that run may end, endless streams do; what still runs after a time is
cancelled.
"""

import asyncio
import contextlib
import ipaddress
import logging
import socket
import ssl
from time import perf_counter
from typing import Protocol

from lamina.api.absent import absent_routes
from lamina.api.access_log import AccessLog
from lamina.api.archives import ArchiveHandlers
from lamina.api.build import BuildHandlers
from lamina.api.commit import CommitHandlers
from lamina.api.connection import Connection
from lamina.api.container_files import ContainerFileHandlers
from lamina.api.container_life import ContainerLifeHandlers
from lamina.api.container_streams import ContainerStreamHandlers
from lamina.api.containers import ContainerHandlers
from lamina.api.errors import status_of, words_of
from lamina.api.exchange import Exchange
from lamina.api.execs import ExecHandlers
from lamina.api.heads import Heads
from lamina.api.hijack import HalfClosable
from lamina.api.images import ImageHandlers
from lamina.api.registry import RegistryHandlers
from lamina.api.router import PageNotFound, Router
from lamina.api.surroundings import SurroundingsHandlers
from lamina.api.system import SystemHandlers
from lamina.api.versions import JSON_ERRORS, NEWEST, UnsupportedVersion
from lamina.container_api import ContainerApi
from lamina.errors import Forbidden, LaminaError
from lamina.image_api import ImageApi
from lamina.system_api import SystemApi

_SWEEP = 5.0
"""Seconds between two looks for connections whose request does not come."""

_BACKLOG = 1024


class EngineApi(ImageApi, SystemApi, ContainerApi, Protocol):
    """What the server serves."""


class Server:
    """Serves one engine on any number of sockets.

    `version` is the product's, for the header ``Server``. Without `access_log` requests are not
    logged. `experimental` is what clients are told that the engine is.
    """

    def __init__(
        self,
        engine: EngineApi,
        *,
        version: str,
        log: logging.Logger,
        access_log: AccessLog | None = None,
        experimental: bool = False,
    ) -> None:
        # Clients look for `Docker/<version> (<os>)`; the version may be any word.
        self.heads = Heads(
            server=f"Docker/lamina-{version} (linux)",
            api_version=str(NEWEST),
            experimental=experimental,
        )
        self.stopping = asyncio.Event()
        self.connections: set[Connection] = set()
        self._log = log
        self._access_log = access_log
        self._listeners: list[asyncio.Server] = []
        self._sweeper: asyncio.Task[None] | None = None
        self._router = Router(
            [
                *absent_routes(),
                *SystemHandlers(engine, stopping=self.stopping, experimental=experimental).routes(),
                *ImageHandlers(engine).routes(),
                *ArchiveHandlers(engine, log=log).routes(),
                *BuildHandlers(engine, log=log).routes(),
                *RegistryHandlers(engine, engine, log=log).routes(),
                *CommitHandlers(engine).routes(),
                *ContainerHandlers(engine).routes(),
                *SurroundingsHandlers(engine).routes(),
                *ContainerLifeHandlers(engine).routes(),
                *ContainerStreamHandlers(engine, stopping=self.stopping).routes(),
                *ContainerFileHandlers(engine).routes(),
                *ExecHandlers(engine, stopping=self.stopping, log=log).routes(),
            ]
        )

    async def listen(
        self, sock: socket.socket, *, tls: ssl.SSLContext | None = None, guarded: bool = False
    ) -> None:
        """Accept connections on a bound socket, which belongs to the server from now on.

        `guarded` refuses what a web page in a browser on this machine could send.
        """
        loop = asyncio.get_running_loop()
        if tls is not None:
            tls.sslobject_class = HalfClosable

        def connect() -> Connection:
            return Connection(self, loop, guarded=guarded)

        if sock.family == socket.AF_UNIX:
            listener = await loop.create_unix_server(connect, sock=sock, ssl=tls, backlog=_BACKLOG)
        else:
            listener = await loop.create_server(connect, sock=sock, ssl=tls, backlog=_BACKLOG)
        self._listeners.append(listener)
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep())

    async def stop(self, *, timeout: float) -> None:  # noqa: ASYNC109
        """Stop listening, wait `timeout` seconds for the requests that run, then cancel them."""
        self.stopping.set()
        for listener in self._listeners:
            listener.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper
        for connection in list(self.connections):
            connection.close_when_idle()
        tasks = {task for c in self.connections if (task := c.task) is not None}
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=timeout)
            for task in late:
                task.cancel()
            if late:
                self._log.warning("%d requests were cancelled at the end", len(late))
                await asyncio.wait(late, timeout=timeout)
        for connection in list(self.connections):
            connection.abort()
        if self._access_log is not None:
            self._access_log.flush()

    async def handle(self, exchange: Exchange) -> None:
        """Answer one request; every error becomes a reply, or cuts one off that has begun."""
        try:
            if exchange.guarded:
                _refuse_browsers(exchange)
            await self._router.find(exchange)(exchange)
        except PageNotFound as error:
            exchange.reply_error(404, str(error), told="nothing")
        except UnsupportedVersion as error:
            exchange.reply_error(400, str(error), plain=error.plain, told="version")
        except LaminaError as error:
            self._fail(exchange, status_of(error), str(error))
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it is this request's alone
            self._log.exception("%s %s failed", exchange.method, exchange.path)
            self._fail(exchange, 500, words_of(error))

    def log(self, exchange: Exchange, *, aborted: bool) -> None:
        """Write down that a request is over."""
        if self._access_log is not None:
            seconds = perf_counter() - exchange.since
            self._access_log.log(exchange, seconds=seconds, aborted=aborted)

    def _fail(self, exchange: Exchange, status: int, message: str) -> None:
        if exchange.begun:
            self._log.error("%s %s broke off: %s", exchange.method, exchange.path, message)
            exchange.cut_off()
        else:
            exchange.reply_error(status, message, plain=exchange.version < JSON_ERRORS)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP)
            for connection in list(self.connections):
                connection.close_if_late(loop.time())


def _is_local(name: str) -> bool:
    """Whether a name in ``Host`` is one of this machine that nobody else can make point here."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def _refuse_browsers(exchange: Exchange) -> None:
    """Refuse what a web page may have sent to a port without TLS: it could become root by it.

    A page's own requests carry ``Origin``; one whose name was made to point here carries that name.
    No page comes from this server itself: who names it as the origin is a client, with WebSocket.
    """
    host = exchange.headers.get("Host", "").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    origin = exchange.headers.get("Origin", "").lower()
    if not _is_local(name) or (origin and origin != f"http://{host}"):
        raise Forbidden("requests of web pages are not served here")
