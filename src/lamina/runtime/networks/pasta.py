"""A way out through pasta (of the package passt), which connects a namespace through sockets.

Like slirp4netns it changes nothing of the host. Releases differ: that of Debian 12 loses answers to
who has ended its own direction of a connection. So a connection is tried before it is used.
"""

import asyncio
import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from lamina.errors import Unavailable
from lamina.runtime.networks.namespaces import Namespace, Surroundings
from lamina.runtime.networks.network import BEHIND_A_PROGRAM, DEVICE

__all__ = ["PastaWay"]

_OPTIONS: Final = (
    "--foreground",
    "--quiet",
    # As which it was started: else it becomes nobody, who may not enter the namespace.
    "--runas=0",
    "--ipv4-only",
    "--config-net",
    f"--ns-ifname={DEVICE}",
    f"--address={BEHIND_A_PROGRAM.address}",
    f"--netmask={BEHIND_A_PROGRAM.prefix}",
    f"--gateway={BEHIND_A_PROGRAM.gateway}",
    f"--dns-forward={BEHIND_A_PROGRAM.resolver}",
    # No ports lead in, and none to the host's loopback.
    *("--tcp-ports=none", "--udp-ports=none", "--tcp-ns=none", "--udp-ns=none"),
)
_NO_LOOPBACK: Final = "--no-map-gw"
"""Without it, the gateway's address leads to the host's loopback."""
_MOUNT: Final = 'mount --no-canonicalize --bind "$0" "$1" && shift && exec "$@"'
"""Has a namespace on a file of a mount namespace that goes with the program."""
_SECONDS: Final = 10
_TRY_SECONDS: Final = 3
_PROBE: Final = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as connection:
    connection.sendall(sys.argv[3].encode())
    connection.shutdown(socket.SHUT_WR)
    sys.stdout.write(connection.makefile().read())
"""
"""Goes through a network on trial: sends, ends its direction, and prints what comes back."""


class PastaWay:
    """`Way` through the program at a path."""

    name = "pasta"

    def __init__(self, program: str, surroundings: Surroundings) -> None:
        self._program = program
        self._surroundings = surroundings

    async def check(self) -> None:
        """As the protocol says: one connection goes through a network that is thrown away."""
        network = await self._open(())
        try:
            await asyncio.wait_for(network.try_out(self._surroundings), _TRY_SECONDS)
        except TimeoutError as error:
            raise Unavailable(network.end() or "a connection stays without answer") from error
        except OSError as error:
            raise Unavailable(network.end() or str(error)) from error
        finally:
            await network.close()

    async def open(self) -> "PastaNetwork":
        """As the protocol says."""
        return await self._open((_NO_LOOPBACK,))

    async def _open(self, more: tuple[str, ...]) -> "PastaNetwork":
        network = PastaNetwork(await self._surroundings.namespace())
        try:
            argv = [self._program, *_OPTIONS, *more]
            await asyncio.wait_for(network.forward(argv, self._surroundings), _SECONDS)
        except BaseException as error:
            await network.close()
            if isinstance(error, OSError | TimeoutError):
                raise Unavailable(f"{self._program} does not work here: {error}") from error
            raise
        return network


class PastaNetwork:
    """A network namespace, and the pasta that connects it."""

    endpoint = BEHIND_A_PROGRAM

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._process: asyncio.subprocess.Process | None = None
        self._place: Path | None = None

    @property
    def path(self) -> str:
        """As the protocol says."""
        return self._namespace.path

    async def forward(self, argv: list[str], surroundings: Surroundings) -> None:
        """Start pasta, until it does what it is for. OSError."""
        ready, path = surroundings.place("ready"), self.path
        enter = ["setpriv", "--pdeathsig=KILL", "--"]
        if not surroundings.rootless:
            # It may not look into /proc of this process, having given up its capabilities.
            self._place = surroundings.place("namespace")
            self._place.touch(mode=0o600)
            enter = ["unshare", "--mount", "sh", "-c", _MOUNT, path, str(self._place), *enter]
            path = str(self._place)
        os.mkfifo(ready, 0o600)
        reading = os.open(ready, os.O_RDONLY | os.O_NONBLOCK)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *surroundings.command([*enter, *argv, f"--pid={ready}", "--netns", path]),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
            await self._until_ready(reading)
        finally:
            os.close(reading)
            ready.unlink()

    async def _until_ready(self, reading: int) -> None:
        """Wait until it writes its process ID, as it does when all is made. OSError."""
        assert self._process is not None
        loop = asyncio.get_running_loop()
        is_ready = asyncio.Event()
        loop.add_reader(reading, is_ready.set)
        waiting = [asyncio.create_task(each) for each in (is_ready.wait(), self._process.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_reader(reading)
            for task in waiting:
                task.cancel()
        if not is_ready.is_set():
            raise OSError(self.end())

    def end(self) -> str:
        """How it has ended, in words; empty if it has not."""
        code = None if self._process is None else self._process.returncode
        if code is None:
            return ""
        return f"it ended with status {code}" if code >= 0 else f"it was ended by signal {-code}"

    async def try_out(self, surroundings: Surroundings) -> None:
        """Have a connection go through it, to a server on the host's loopback. OSError."""
        word = secrets.token_hex(8)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # Greeted first: an answer is lost in bad releases if something went that way before.
            writer.write(b"hello ")
            with suppress(OSError):
                writer.write(await reader.read())
                await writer.drain()
                writer.close()
                await writer.wait_closed()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        try:
            port = str(server.sockets[0].getsockname()[1])
            probe = [sys.executable, "-S", "-c", _PROBE, BEHIND_A_PROGRAM.gateway, port, word]
            process = await asyncio.create_subprocess_exec(
                *surroundings.command(["nsenter", f"--net={self.path}", "--", *probe]),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            try:
                output, errors = await process.communicate()
            except asyncio.CancelledError:
                process.kill()
                await process.wait()
                raise
        finally:
            # Connections that it has lost end with it.
            server.close()
        if output.decode() != f"hello {word}":
            reason = errors.decode(errors="replace").strip().rpartition("\n")[2]
            raise OSError(reason or "a connection through it loses what it carries")

    async def close(self) -> None:
        """As the protocol says."""
        self._namespace.close()
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        if self._place is not None:
            self._place.unlink(missing_ok=True)
