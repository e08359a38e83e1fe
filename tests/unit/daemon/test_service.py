import asyncio
import os
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lamina.daemon.config import DaemonConfig
from lamina.daemon.log_lines import make_log
from lamina.daemon.service import serve
from lamina.errors import LaminaError
from tests.real.certificates import Authority
from tests.unit.api.memory import MemoryEngine
from tests.unit.api.test_archives import eventually
from tests.unit.api.wire import Wire, connect


@asynccontextmanager
async def serving(config: DaemonConfig, **environ: str) -> AsyncIterator[MemoryEngine]:
    """`serve` on an engine in memory, until the block ends."""
    engine = MemoryEngine()
    stop = asyncio.Event()
    log = make_log(DaemonConfig(log_level="error"), sys.stderr)
    task = asyncio.create_task(serve(engine, config, log=log, environ=environ, stop=stop))
    try:
        yield engine
    finally:
        stop.set()
        await task


async def ready(path: Path) -> socket.socket:
    """A socket for systemd's notifications."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(path))
    sock.setblocking(False)  # noqa: FBT003
    return sock


async def test_several_addresses_serve_one_engine(socket_directory: Path) -> None:
    paths = [socket_directory / "a", socket_directory / "b"]
    config = DaemonConfig(hosts=tuple(f"unix://{path}" for path in paths))
    loop = asyncio.get_running_loop()
    with await ready(socket_directory / "n") as notified:
        async with serving(config, NOTIFY_SOCKET=str(socket_directory / "n")):
            assert await loop.sock_recv(notified, 100) == b"READY=1"
            for path in paths:
                async with connect(path) as wire:
                    assert (await wire.ask("GET", "/_ping")).body == b"OK"
        assert await loop.sock_recv(notified, 100) == b"STOPPING=1"
    assert not any(path.exists() for path in paths)


async def test_clients_are_left_properly_though_containers_do_not_end(
    socket_directory: Path,
) -> None:
    async def fail() -> None:
        raise LaminaError("it does not end")

    path, stop = socket_directory / "a", asyncio.Event()
    config = DaemonConfig(hosts=(f"unix://{path}",))
    log = make_log(DaemonConfig(log_level="error"), sys.stderr)
    served = serve(MemoryEngine(), config, log=log, environ={}, stop=stop, end_containers=fail)
    task = asyncio.create_task(served)
    await eventually(path.exists)
    async with connect(path) as wire:
        assert (await wire.ask("GET", "/_ping")).body == b"OK"
        stop.set()
        with pytest.raises(LaminaError, match="it does not end"):
            await task
        async with asyncio.timeout(10):
            assert await wire.at_end()


async def test_tls_wants_a_certificate_of_its_authority(
    socket_directory: Path, authority: Authority
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = DaemonConfig(
        hosts=(f"tcp://127.0.0.1:{port}",),
        tlsverify=True,
        tlscacert=authority.ca,
        tlscert=authority.server_certificate,
        tlskey=authority.server_key,
    )
    loop = asyncio.get_running_loop()
    with await ready(socket_directory / "n") as notified:
        async with serving(config, NOTIFY_SOCKET=str(socket_directory / "n")) as engine:
            assert await loop.sock_recv(notified, 100) == b"READY=1"
            good = ssl.create_default_context(cafile=str(authority.ca))
            good.load_cert_chain(authority.client_certificate, authority.client_key)
            wire = Wire(*await asyncio.open_connection("127.0.0.1", port, ssl=good))
            assert (await wire.ask("GET", "/_ping")).body == b"OK"
            reply = await wire.ask("POST", "/images/load", body=b"tar!" + b"x" * 3_000_000)
            assert b"Loaded image" in reply.body
            assert engine.received == 3_000_004
            # A client with the right certificate is no web page.
            assert (await wire.ask("GET", "/_ping", "Origin: x")).status == 200
            await wire.close()

            anonymous = ssl.create_default_context(cafile=str(authority.ca))
            # With TLS 1.3 a client learns only after its handshake that it was not welcome.
            wire = Wire(*await asyncio.open_connection("127.0.0.1", port, ssl=anonymous))
            with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                await wire.ask("GET", "/_ping")
            plain = Wire(*await asyncio.open_connection("127.0.0.1", port))
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await plain.ask("GET", "/_ping")
            await plain.close()


DAEMON = """
import asyncio, os, sys
from pathlib import Path
from lamina.daemon import DaemonConfig, run
config = DaemonConfig(root=Path(sys.argv[1]), hosts=(f"unix://{sys.argv[2]}",), log_format="json")
asyncio.run(run(config, environ=os.environ))
"""


@asynccontextmanager
async def daemon(directory: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A daemon in a process of its own, with the real engine."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", DAEMON, str(directory / "root"), str(directory / "s")),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        while b"is ready" not in (line := await process.stderr.readline()):
            assert line, "the daemon ended"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_gracefully(socket_directory: Path, number: int) -> None:
    async with daemon(socket_directory) as process, connect(socket_directory / "s") as wire:
        await wire.request("GET", "/events")
        await wire.head()
        process.send_signal(number)
        assert await wire.chunk() == b""
        assert await process.wait() == 0
    assert not (socket_directory / "s").exists()


async def test_a_second_signal_ends_it_at_once(socket_directory: Path) -> None:
    async with daemon(socket_directory) as process, connect(socket_directory / "s") as wire:
        # An upload that never ends keeps it from stopping.
        await wire.request("POST", "/images/load", "Content-Length: 1000000")
        await wire.send(b"x" * 600)
        async with connect(socket_directory / "s") as idle:
            await idle.ask("GET", "/_ping")
            process.send_signal(signal.SIGTERM)
            assert await idle.at_end()
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 128 + signal.SIGTERM
    # What it left behind does not keep the next one from starting.
    async with daemon(socket_directory), connect(socket_directory / "s") as wire:
        assert (await wire.ask("GET", "/_ping")).body == b"OK"
