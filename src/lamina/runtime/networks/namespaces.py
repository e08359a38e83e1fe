"""Network namespaces that exist before what runs in them does."""

import asyncio
import ctypes
import fcntl
import os
import secrets
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Final, Protocol

from lamina.errors import Unavailable

__all__ = ["Namespace", "Surroundings", "new_namespace"]

_CLONE_NEWNET: Final = 0x40000000
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1


class Namespace(Protocol):
    """A network namespace that stays until it is closed and nobody is in it."""

    @property
    def path(self) -> str:
        """Where it is found, by who runs where the root filesystems are."""

    def close(self) -> None:
        """Let go of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where the networks of one engine are made.

    `directory` is the engine's own, made when it is needed; `command` makes a command line one that
    runs where the root filesystems are, which is a user namespace if `rootless`.
    """

    directory: Path
    command: Callable[[Sequence[str]], list[str]] = list
    rootless: bool = False

    async def namespace(self) -> Namespace:
        """A new namespace. Unavailable."""
        try:
            if self.rootless:
                return await self._file_namespace()
            return _HeldNamespace(await asyncio.to_thread(new_namespace))
        except OSError as error:
            raise Unavailable(f"no network namespace: {error}") from error

    def place(self, kind: str) -> Path:
        """A path that is free, in a directory that is there."""
        self.directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        return self.directory / f"{kind}-{secrets.token_hex(6)}"

    async def _file_namespace(self) -> Namespace:
        path = self.place("namespace")
        path.touch(mode=0o600)
        process = await asyncio.create_subprocess_exec(
            *self.command(["unshare", f"--net={path}", "true"]),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()
        if process.returncode:
            path.unlink()
            raise OSError(errors.decode(errors="replace").strip())
        return _FileNamespace(str(path))


class _HeldNamespace:
    """A namespace that a descriptor of this process holds: it goes with the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @property
    def path(self) -> str:
        """As the protocol says."""
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    def close(self) -> None:
        """As the protocol says."""
        os.close(self._descriptor)


@dataclass(frozen=True, slots=True)
class _FileNamespace:
    """A namespace that is mounted on a file, in the mount namespace of root filesystems.

    Who is in that user namespace may not look into /proc of this process, which is outside.
    """

    path: str

    def close(self) -> None:
        """As the protocol says: with the file, which is no mount to us, the kernel unmounts it."""
        Path(self.path).unlink(missing_ok=True)


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
