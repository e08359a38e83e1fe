"""The ends of a process's standard streams that are ours: pipes, or a terminal."""

import asyncio
import errno
import fcntl
import os
import struct
import termios
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Self

__all__ = ["Inlet", "Outlet", "Pipes", "Streams", "resize_terminal"]

_CHUNK = 1 << 16


class _End:
    """A descriptor that is waited for by one task at a time; it is closed with this object."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Future[None] | None = None
        self.closed = False

    async def _until(self, add: Callable[..., object], remove: Callable[[int], object]) -> None:
        """Return when the loop says so, or when this is closed."""
        waiting = self._waiting = self._loop.create_future()

        def wake() -> None:
            if not waiting.done():
                waiting.set_result(None)

        add(self._fd, wake)
        try:
            await waiting
        finally:
            self._waiting = None
            if not self.closed:
                remove(self._fd)

    def close(self) -> None:
        """Be done with it: who waits is woken."""
        if self.closed:
            return
        self.closed = True
        if self._waiting is not None:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            if not self._waiting.done():
                self._waiting.set_result(None)
        os.close(self._fd)


class Outlet(_End):
    """What a process writes, as it comes. Nothing is read ahead, so a slow reader slows it down."""

    async def read(self, at_most: int = _CHUNK) -> bytes:
        """Some bytes, at least one; none at the end."""
        while not self.closed:
            try:
                return os.read(self._fd, at_most)
            except BlockingIOError:
                await self._until(self._loop.add_reader, self._loop.remove_reader)
            except OSError as error:
                # A terminal that nobody has open any more.
                if error.errno == errno.EIO:
                    break
                raise
        return b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self.read():
            yield piece


class Inlet(_End):
    """What a process reads; it reads the end when this is closed."""

    async def write(self, data: bytes) -> None:
        """Write all of it. BrokenPipeError if nobody reads any more."""
        left = memoryview(data)
        while left:
            if self.closed:
                raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:
                await self._until(self._loop.add_writer, self._loop.remove_writer)
            except OSError as error:
                if error.errno == errno.EIO:
                    raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from error
                raise


@dataclass(frozen=True, slots=True)
class Streams:
    """Our ends of a process's standard streams."""

    stdin: Inlet | None
    stdout: Outlet
    stderr: Outlet | None
    terminal: int | None = None

    @classmethod
    def of_terminal(cls, terminal: int, *, stdin: bool) -> Self:
        """Those of a terminal, whose descriptor is closed with the last of them."""
        inlet = Inlet(os.dup(terminal)) if stdin else None
        return cls(inlet, Outlet(os.dup(terminal)), None, terminal)


class Pipes:
    """Pipes for a process that has no terminal; without `stdin` it reads the end at once."""

    def __init__(self, *, stdin: bool) -> None:
        self._ours: list[int] = []
        self.theirs: list[int] = []
        """For its three standard streams."""
        self._stdin = stdin
        try:
            if stdin:
                read, write = os.pipe()
                self.theirs.append(read)
                self._ours.append(write)
            else:
                self.theirs.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
            for _ in range(2):
                read, write = os.pipe()
                self._ours.append(read)
                self.theirs.append(write)
        except OSError:
            self.close_ours()
            self.close_theirs()
            raise

    def streams(self) -> Streams:
        """Our ends, which are the caller's from now on."""
        *stdin, stdout, stderr = self._ours
        self._ours = []
        return Streams(Inlet(stdin[0]) if stdin else None, Outlet(stdout), Outlet(stderr))

    def close_ours(self) -> None:
        """Nobody will use our ends."""
        _close_all(self._ours)

    def close_theirs(self) -> None:
        """The process has its ends, or will never have."""
        _close_all(self.theirs)


def _close_all(fds: list[int]) -> None:
    while fds:
        os.close(fds.pop())


def resize_terminal(fd: int, height: int, width: int) -> None:
    """Tell a terminal its size. Raises OSError."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
