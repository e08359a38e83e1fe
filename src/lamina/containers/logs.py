r"""What a container has written, kept as Docker's json-file driver keeps it: a JSON object a line.

::

    {"log":"text\n","stream":"stdout","time":"2024-01-02T03:04:05.123456789Z"}

Each is a line, or a piece of a very long one; text that is no UTF-8 is kept with U+FFFD, as by Go.
"""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from lamina.content.threads import run_to_end
from lamina.oci.timestamp import format_unix, parse_unix
from lamina.streams import Frame

__all__ = ["LogFile", "LogQuery", "LogWriter"]

_PIECE: Final = 16 << 10
"""Bytes after which a line that does not end is cut."""
_BLOCK: Final = 1 << 18
_APPEND: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
_STREAMS: Final = {1: "stdout", 2: "stderr"}
_NUMBERS: Final = {"stdout": 1, "stderr": 2}


class _Entry(msgspec.Struct, frozen=True):
    log: str
    stream: str
    time: str


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(_Entry)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """What is wanted of a log; times in unix nanoseconds."""

    stdout: bool = True
    stderr: bool = True
    since: int | None = None
    until: int | None = None
    tail: int | None = None
    """The last so many lines only."""
    timestamps: bool = False
    """Whether each line begins with its time."""


class LogWriter:
    """Appends what comes from a process; for one run of a container."""

    def __init__(self, path: Path, *, limit: int | None = None, files: int = 1) -> None:
        self._path = path
        self._limit = limit
        self._files = files
        self._rests = {1: b"", 2: b""}
        self._fd = os.open(path, _APPEND, 0o640)
        self._size = os.fstat(self._fd).st_size

    def write(self, stream: int, data: bytes, now: int) -> None:
        """Keep what has come at `now`; the end of it may stay here until its line ends."""
        *lines, rest = (self._rests[stream] + data).split(b"\n")
        pieces = [line + b"\n" for line in lines]
        while len(rest) > _PIECE:
            pieces.append(rest[:_PIECE])
            rest = rest[_PIECE:]
        self._rests[stream] = rest
        self._append(stream, pieces, now)

    def finish(self, now: int) -> None:
        """Keep the rest: nothing more will come."""
        for stream, rest in self._rests.items():
            if rest:
                self._append(stream, [rest], now)
                self._rests[stream] = b""
        os.close(self._fd)

    def _append(self, stream: int, pieces: list[bytes], now: int) -> None:
        if not pieces:
            return
        name, time = _STREAMS[stream], format_unix(now)
        text = b"".join(
            _ENCODER.encode(_Entry(part.decode("utf-8", "replace"), name, time)) + b"\n"
            for piece in pieces
            for part in _cut(piece)
        )
        # A disk that is full loses lines of a log, and does not stop the container.
        with suppress(OSError):
            if self._limit is not None and self._size and self._size + len(text) > self._limit:
                self._rotate()
        with suppress(OSError):
            os.write(self._fd, text)
        self._size += len(text)

    def _rotate(self) -> None:
        """Begin a new file. OSError; then the one that is open stays so."""
        new = self._path.with_name(f"{self._path.name}.new")
        fd = os.open(new, _APPEND | os.O_TRUNC, 0o640)
        try:
            for number in range(self._files - 1, 0, -1):
                older = self._path.with_name(f"{self._path.name}.{number}")
                newer = self._path.with_name(f"{self._path.name}.{number - 1}")
                with suppress(FileNotFoundError):
                    (newer if number > 1 else self._path).rename(older)
            new.rename(self._path)
        except OSError:
            os.close(fd)
            raise
        os.close(self._fd)
        self._fd, self._size = fd, 0


def _cut(piece: bytes) -> list[bytes]:
    return [piece[at : at + _PIECE] for at in range(0, len(piece), _PIECE)]


class LogFile:
    """The log of a container, the files that were moved away included."""

    def __init__(self, path: Path, now: Callable[[], int] = time.time_ns) -> None:
        self._path = path
        self._now = now

    async def read(
        self,
        query: LogQuery,
        *,
        more: Callable[[], asyncio.Future[None] | None] | None = None,
    ) -> AsyncIterator[Frame]:
        """The lines that are wanted, oldest first; those after `LogQuery.until` are not waited for.

        `more` makes it go on: asked before the end is looked for, it gives a future for more to
        come, or None once the container has ended.
        """
        if query.tail == 0 and more is None:
            return
        files: list[int] = []
        try:
            await run_to_end(lambda: self._open_all(files))
            starts = await run_to_end(lambda: _tail_starts(files, query.tail))
            for fd, start in zip(files[:-1], starts[:-1], strict=True):
                async for frame in _frames(_LineReader(fd, start), query):
                    yield frame
            if files:
                async for frame in self._follow(files, starts[-1], query, more):
                    yield frame
            elif more is not None:
                while (waiting := more()) is not None:
                    await waiting
        finally:
            for fd in files:
                os.close(fd)

    async def _follow(
        self,
        files: list[int],
        start: int,
        query: LogQuery,
        more: Callable[[], asyncio.Future[None] | None] | None,
    ) -> AsyncIterator[Frame]:
        """The last file from `start` on, and those that take its place."""
        reader, is_replaced = _LineReader(files[-1], start), False
        while True:
            waiting = None if more is None else more()
            async for frame in _frames(reader, query):
                yield frame
            if is_replaced:
                # Nothing is written into it any more.
                if await run_to_end(lambda: self._open_current(files)):
                    reader, is_replaced = _LineReader(files[-1], 0), False
                    continue
            elif is_replaced := await run_to_end(lambda: self._is_replaced(files[-1])):
                # Something may have been, since its end was looked for.
                continue
            if waiting is None:
                return
            if query.until is None:
                await waiting
                continue
            left = (query.until - self._now()) / 1_000_000_000
            if left < 0:
                return
            await asyncio.wait({waiting}, timeout=left)

    def _open_all(self, files: list[int]) -> None:
        """Open all files, oldest first, so that whoever gives up waiting can close them."""
        pattern = re.compile(re.escape(self._path.name) + r"(?:\.(\d+))?")
        try:
            there = list(self._path.parent.iterdir())
        except FileNotFoundError:
            there = []
        found = [(-int(match[1] or 0), p) for p in there if (match := pattern.fullmatch(p.name))]
        for _, path in sorted(found):
            with suppress(FileNotFoundError):
                files.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def _open_current(self, files: list[int]) -> bool:
        """Open the file that is written now; False if another is just taking its place."""
        try:
            files.append(os.open(self._path, os.O_RDONLY | os.O_CLOEXEC))
        except FileNotFoundError:
            return False
        return True

    def _is_replaced(self, fd: int) -> bool:
        try:
            return os.fstat(fd).st_ino != self._path.stat().st_ino
        except FileNotFoundError:
            return False


class _LineReader:
    """Gives whole lines of a file that grows."""

    def __init__(self, fd: int, offset: int) -> None:
        self._fd = fd
        self._offset = offset
        self._rest = b""

    def lines(self) -> list[bytes]:
        """The next lines; none at what is the end for now."""
        while block := os.pread(self._fd, _BLOCK, self._offset):
            self._offset += len(block)
            *lines, self._rest = (self._rest + block).split(b"\n")
            if lines:
                return lines
        return []


async def _frames(reader: _LineReader, query: LogQuery) -> AsyncIterator[Frame]:
    while lines := await run_to_end(reader.lines):
        for line in lines:
            entry = _decoded(line)
            if entry is not None and (frame := _frame(entry, query)) is not None:
                yield frame


def _tail_starts(files: list[int], tail: int | None) -> list[int]:
    """Where to begin in each file, so that they have `tail` lines from there on."""
    if tail is None:
        return [0] * len(files)
    starts = []
    left = tail
    for fd in reversed(files):
        start, found = _tail_start(fd, left)
        starts.append(start)
        left -= found
    return starts[::-1]


def _tail_start(fd: int, lines: int) -> tuple[int, int]:
    """Where the last so many lines of a file begin, and how many there are."""
    end = os.fstat(fd).st_size
    if lines <= 0:
        return end, 0
    found = 0
    at = end
    while at > 0:
        size = min(_BLOCK, at)
        at -= size
        block = os.pread(fd, size, at)
        position = len(block)
        while (position := block.rfind(b"\n", 0, position)) >= 0:
            if at + position + 1 < end:
                found += 1
                if found == lines:
                    return at + position + 1, lines
    return 0, found + 1 if end else 0


def _decoded(line: bytes) -> _Entry | None:
    """An entry; None for a line that a power cut has torn."""
    try:
        return _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _frame(entry: _Entry, query: LogQuery) -> Frame | None:
    number = _NUMBERS.get(entry.stream, 1)
    if not (query.stdout if number == 1 else query.stderr):
        return None
    if query.since is not None or query.until is not None:
        time = parse_unix(entry.time) or 0
        if query.since is not None and time < query.since:
            return None
        if query.until is not None and time > query.until:
            return None
    text = entry.log.encode("utf-8", "replace")
    if query.timestamps:
        text = _fixed(entry.time).encode() + b" " + text
    return Frame(number, text)


def _fixed(time: str) -> str:
    """A time with all nine digits of its fraction, as the CLI expects them."""
    whole, _, fraction = time.removesuffix("Z").partition(".")
    return f"{whole}.{fraction.ljust(9, '0')}Z"
