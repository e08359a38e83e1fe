"""A way out through slirp4netns: a program that sends on what comes, as one of the host's would.

It ends when its exit pipe is closed: with the sandbox, or with this process, however that ends.
Nothing of the host is changed for it.
"""

import asyncio
import os
from contextlib import suppress
from typing import Final

from lamina.errors import Unavailable
from lamina.runtime.networks.namespaces import Namespace, Surroundings
from lamina.runtime.networks.network import BEHIND_A_PROGRAM, DEVICE

__all__ = ["SlirpWay"]

_READY_SECONDS: Final = 10
_TUN: Final = "/dev/net/tun"


class SlirpWay:
    """`Way` through the program at a path."""

    name = "slirp4netns"

    def __init__(self, program: str, surroundings: Surroundings) -> None:
        self._program = program
        self._surroundings = surroundings

    async def check(self) -> None:
        """As the protocol says: it is as good as its device."""
        try:
            os.close(os.open(_TUN, os.O_RDWR | os.O_CLOEXEC))
        except OSError as error:
            raise Unavailable(f"{_TUN}: {error.strerror}") from error

    async def open(self) -> "SlirpNetwork":
        """As the protocol says."""
        network = SlirpNetwork(await self._surroundings.namespace())
        try:
            argv = [self._program, *_OPTIONS]
            await asyncio.wait_for(network.forward(argv, self._surroundings), _READY_SECONDS)
        except BaseException as error:
            await network.close()
            if isinstance(error, OSError | TimeoutError | EOFError):
                raise Unavailable(f"{self._program} does not work here: {error}") from error
            raise
        return network


_OPTIONS: Final = ("--configure", "--mtu=65520", "--disable-host-loopback", "--netns-type=path")


class SlirpNetwork:
    """A network namespace, and what forwards for it."""

    endpoint = BEHIND_A_PROGRAM

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._exit: int | None = None
        self._process: asyncio.subprocess.Process | None = None

    @property
    def path(self) -> str:
        """As the protocol says."""
        return self._namespace.path

    async def forward(self, argv: list[str], surroundings: Surroundings) -> None:
        """Start what forwards, until it does. OSError, EOFError."""
        exit_read, self._exit = os.pipe()
        ready_read, ready_write = os.pipe()
        try:
            pipes = (f"--ready-fd={ready_write}", f"--exit-fd={exit_read}")
            self._process = await asyncio.create_subprocess_exec(
                *surroundings.command([*argv, *pipes, self.path, DEVICE]),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                pass_fds=[exit_read, ready_write],
                start_new_session=True,
            )
            os.close(ready_write)
            ready_write = -1
            if not await asyncio.to_thread(os.read, ready_read, 1):
                raise EOFError("it has ended")
        finally:
            for fd in (exit_read, ready_read, ready_write):
                if fd >= 0:
                    os.close(fd)

    async def close(self) -> None:
        """As the protocol says."""
        if self._exit is not None:
            os.close(self._exit)
            self._exit = None
        self._namespace.close()
        if self._process is not None:
            # It ends by itself, if it is what it should be.
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
