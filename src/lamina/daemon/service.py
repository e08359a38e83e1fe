"""A running daemon: sockets, server and engine put together, started and stopped."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from lamina import __version__
from lamina.api.access_log import AccessLog
from lamina.api.listening import Listener, open_listeners
from lamina.api.server import EngineApi, Server
from lamina.daemon.config import DaemonConfig
from lamina.daemon.heaps import share_heaps
from lamina.daemon.log_lines import line_writer, make_log
from lamina.daemon.registries import open_engine


async def serve(
    engine: EngineApi,
    config: DaemonConfig,
    *,
    log: logging.Logger,
    environ: Mapping[str, str],
    stop: asyncio.Event,
    access_log: AccessLog | None = None,
    end_containers: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serve `engine` on the addresses of `config` until `stop` is set, then end gracefully.

    `end_containers` is called while requests that wait for containers still go on. CannotListen.
    """
    async with _listening(config, environ) as listeners:
        server = Server(
            engine,
            version=__version__,
            log=log,
            access_log=access_log,
            experimental=config.experimental,
        )
        try:
            for listener in listeners:
                await server.listen(listener.socket, tls=listener.tls, guarded=listener.guarded)
                log.info("API listen on %s", listener.address)
            log.info("lamina %s is ready", __version__)
            _tell_systemd(environ, "READY=1")
            await stop.wait()
        finally:
            _tell_systemd(environ, "STOPPING=1")
            log.info("stopping")
            try:
                if end_containers is not None:
                    await end_containers()
            finally:
                await server.stop(timeout=config.shutdown_timeout)


@contextlib.asynccontextmanager
async def _listening(
    config: DaemonConfig, environ: Mapping[str, str]
) -> AsyncIterator[list[Listener]]:
    listeners = open_listeners(config.hosts, tls=config.tls, group=config.group, environ=environ)
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.socket.close()
            listener.remove()


async def run(config: DaemonConfig, *, environ: Mapping[str, str]) -> None:
    """Be the daemon: open the engine, serve it, end on SIGTERM or SIGINT; on a second one, at once.

    Raises LaminaError or OSError if it cannot start.
    """
    share_heaps()
    log = make_log(config, sys.stderr)
    for key in config.ignored:
        log.warning("the configuration key %s has no effect", key)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end(number: int) -> None:
        if stop.is_set():
            # Everything on disk is whole at any moment; there is nothing to wait for.
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    access_log = None
    if log.isEnabledFor(logging.INFO):
        access_log = AccessLog(line_writer(sys.stderr), format=config.log_format)
    assert config.root is not None
    async with open_engine(config, config.root, environ=environ, logger=log) as engine:
        # What is there now stays: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        gc.enable()
        await engine.start_containers()
        await serve(
            engine,
            config,
            log=log,
            environ=environ,
            stop=stop,
            access_log=access_log,
            end_containers=lambda: engine.stop_containers(int(config.shutdown_timeout)),
        )
    log.info("stopped")


def _tell_systemd(environ: Mapping[str, str], message: str) -> None:
    """Tell the service manager how far we are (sd_notify(3))."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(message.encode(), address.replace("@", "\0", 1))
