"""A network of a sandbox's own with a way out, through slirp4netns.

The namespace exists before the sandbox does, as an open descriptor of this process. slirp4netns
forwards what comes out of it, as a program of the host would send it, and ends when its exit pipe
is closed: with the sandbox, or with this process, however that ends.
"""

import asyncio
import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Callable, Sequence
from threading import Thread
from typing import Final

from lamina.errors import Unavailable
from lamina.runtime.programs import find_program

__all__ = ["RESOLVER", "Network", "find_bridge"]

RESOLVER: Final = "10.0.2.3"
"""The name server that slirp4netns is inside; it asks those of the host."""

_CLONE_NEWNET: Final = 0x40000000
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1
_READY_SECONDS: Final = 10
_PROGRAM: Final = "slirp4netns"


def find_bridge() -> str | None:
    """The program that gives a network its way out; None if none is installed."""
    return find_program(_PROGRAM)


class Network:
    """A network namespace, and what forwards for it."""

    def __init__(self, namespace: int) -> None:
        self._namespace = namespace
        self._exit: int | None = None
        self._process: asyncio.subprocess.Process | None = None

    @property
    def path(self) -> str:
        """Where the namespace is found, as long as this is open."""
        return f"/proc/{os.getpid()}/fd/{self._namespace}"

    @property
    def forwarder(self) -> int | None:
        """The process that forwards; None when it has ended."""
        process = self._process
        return None if process is None or process.returncode is not None else process.pid

    @classmethod
    async def open(
        cls, program: str, command: Callable[[Sequence[str]], list[str]] = list
    ) -> "Network":
        """A network whose way out is ready. Unavailable."""
        try:
            network = cls(await asyncio.to_thread(new_namespace))
        except OSError as error:
            raise Unavailable(f"no network namespace: {error}") from error
        try:
            await asyncio.wait_for(network._forward(program, command), _READY_SECONDS)
        except BaseException as error:
            network.release()
            await network.ended()
            if isinstance(error, OSError | TimeoutError | EOFError):
                raise Unavailable(f"{program} does not work here: {error}") from error
            raise
        return network

    async def _forward(self, program: str, command: Callable[[Sequence[str]], list[str]]) -> None:
        exit_read, self._exit = os.pipe()
        ready_read, ready_write = os.pipe()
        try:
            argv = [
                program,
                "--configure",
                "--mtu=65520",
                "--disable-host-loopback",
                f"--ready-fd={ready_write}",
                f"--exit-fd={exit_read}",
                "--netns-type=path",
                f"/proc/self/fd/{self._namespace}",
                "tap0",
            ]
            self._process = await asyncio.create_subprocess_exec(
                *command(argv),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                pass_fds=[self._namespace, exit_read, ready_write],
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

    def release(self) -> None:
        """Take the way out away; the namespace goes with the last process in it."""
        if self._exit is not None:
            os.close(self._exit)
            self._exit = None
        os.close(self._namespace)

    async def ended(self) -> None:
        """Wait until what forwards has ended."""
        if self._process is not None:
            await self._process.wait()


def new_namespace() -> int:
    """A network namespace in which the loopback device is up, as an open descriptor. OSError."""
    made: list[int | OSError] = []

    def make() -> None:
        # Only this thread is in it, and soon gone.
        try:
            _leave_network()
            _bring_up("lo")
            made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            made.append(error)

    thread = Thread(target=make, name="network-namespace")
    thread.start()
    thread.join()
    (result,) = made
    if isinstance(result, OSError):
        raise result
    return result


def _leave_network() -> None:
    """Put the calling thread into a network namespace of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _bring_up(name: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", name.encode(), 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(
            any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", name.encode(), flags | _IFF_UP)
        )
