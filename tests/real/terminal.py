"""A program on a terminal of its own, as a user would run it."""

import fcntl
import os
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self


class Terminal:
    """Runs a program with a pseudo-terminal for its input and output; a context manager."""

    def __init__(
        self, argv: Sequence[str], env: Mapping[str, str], *, rows: int = 24, columns: int = 80
    ) -> None:
        self.heard = b""
        self._ours, theirs = os.openpty()
        try:
            self._resize(theirs, rows, columns)
            self._process = subprocess.Popen(
                argv, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True
            )
        finally:
            os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._ours)

    def type(self, text: bytes) -> None:
        """Type something."""
        os.write(self._ours, text)

    def resize(self, rows: int, columns: int, *, signal: int) -> None:
        """Give the terminal another size, and tell the program by a signal."""
        self._resize(self._ours, rows, columns)
        self._process.send_signal(signal)

    def wait_for(self, text: bytes, *, seconds: float = 50) -> bytes:
        """Read until `text` has come; gives, and forgets, what was heard up to its end."""
        end = time.monotonic() + seconds
        while text not in self.heard:
            if not self._read(end - time.monotonic()):
                raise AssertionError(f"{text!r} did not come: {self.heard!r}")
        before, _, self.heard = self.heard.partition(text)
        return before + text

    def wait(self, *, seconds: float = 50) -> tuple[int, bytes]:
        """The program's exit status, and what was heard since."""
        end = time.monotonic() + seconds
        while self._read(end - time.monotonic()):
            pass
        return self._process.wait(max(1, end - time.monotonic())), self.heard

    def _read(self, seconds: float) -> bool:
        """Read something more; False at the end, or when the time is up."""
        readable, _, _ = select.select([self._ours], [], [], max(0, seconds))
        if not readable:
            return False
        try:
            data = os.read(self._ours, 1 << 16)
        except OSError:
            # How Linux says that nobody has the other end open any more.
            return False
        self.heard += data
        return bool(data)

    @staticmethod
    def _resize(fd: int, rows: int, columns: int) -> None:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
