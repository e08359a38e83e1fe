"""A directory as the tar of a build context, entry by entry what the docker client sends.

Entries come in the order of their names' bytes, a directory before what is in it. They belong to
root; their times are whole seconds. Of extended attributes only ``security.capability`` is sent.
A file of several names is sent once, and as hard links after that. Sockets are left out: no tar
can hold them. Holes are sent as the zeros they stand for.
"""

import contextlib
import os
import stat
import time
from collections.abc import AsyncGenerator, Generator, Iterator
from pathlib import Path
from typing import Final

from lamina.content.threads import run_to_end
from lamina.errors import LaminaError
from lamina.layers.tarheader import TYPES_OF_FILES, EntryType
from lamina.layers.tarwriter import END, header_bytes, padding
from lamina.packing.selection import IGNORE_FILE, AddedDockerfile, Selection, hiding
from lamina.streams import CHUNK_SIZE

_SECOND: Final = 1_000_000_000
_CAPABILITY: Final = "security.capability"
_OWN_MODE: Final = 0o600
"""The mode of files that no directory has."""


class DirectoryArchive:
    """The tar of a directory: async-iterate its bytes, once. Memory does not grow with it.

    Raises LaminaError for files that may not be read, or that change meanwhile.
    """

    def __init__(
        self,
        directory: Path,
        selection: Selection,
        *,
        added: AddedDockerfile | None = None,
        ignore: str | None = None,
    ) -> None:
        """`added` comes with an ignore file that hides it: the text `ignore` and its name."""
        self._root = os.fspath(directory)
        self._selection = selection
        self._added = added
        self._hiding = None if added is None else hiding(ignore, added)
        self._linked: dict[tuple[int, int], str] = {}
        """By device and inode: the name under which a file of several names was sent."""

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        with contextlib.closing(self._gathered()) as pieces:
            while piece := await run_to_end(lambda: next(pieces, b"")):
                yield piece

    def _gathered(self) -> Generator[bytes, None, None]:
        """The tar in pieces large enough for a thread hop each."""
        waiting: list[bytes] = []
        size = 0
        for piece in self._pieces():
            waiting.append(piece)
            size += len(piece)
            if size >= CHUNK_SIZE:
                yield b"".join(waiting)
                waiting.clear()
                size = 0
        yield b"".join(waiting)

    def _pieces(self) -> Iterator[bytes]:
        is_hidden = False
        for path, entry in self._walk():
            if path == IGNORE_FILE and self._hiding is not None:
                status = _status(entry)
                mode = stat.S_IMODE(status.st_mode)
                yield _own_file(path, self._hiding, mode, int(status.st_mtime))
                is_hidden = True
            else:
                yield from self._entry(path, entry)
        if self._added is not None and self._hiding is not None:
            now = int(time.time())
            if not is_hidden:
                yield _own_file(IGNORE_FILE, self._hiding, _OWN_MODE, now)
            yield _own_file(self._added.name, self._added.text, _OWN_MODE, now)
        yield END

    def _walk(self) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """What is sent, with its path in the context."""
        # A stack of its own: directories may be nested deeper than calls.
        open_directories = [("", iter(_entries(self._root)))]
        while open_directories:
            prefix, entries = open_directories[-1]
            if (entry := next(entries, None)) is None:
                open_directories.pop()
                continue
            path = prefix + entry.name
            if self._selection.sends(path):
                yield path, entry
            if entry.is_dir(follow_symlinks=False) and self._selection.walks_into(path):
                open_directories.append((f"{path}/", iter(_entries(entry.path))))

    def _entry(self, path: str, entry: os.DirEntry[str]) -> Iterator[bytes]:
        status = _status(entry)
        type = TYPES_OF_FILES.get(stat.S_IFMT(status.st_mode))
        if type is None:
            return
        link = _link(entry) if type is EntryType.SYMLINK else ""
        if type is not EntryType.DIRECTORY and status.st_nlink > 1:
            first = self._linked.setdefault((status.st_dev, status.st_ino), path)
            if first != path:
                type, link = EntryType.HARD_LINK, first
        size = status.st_size if type is EntryType.REGULAR else 0
        is_device = type in (EntryType.CHARACTER_DEVICE, EntryType.BLOCK_DEVICE)
        capability = _capability(entry.path)
        yield header_bytes(
            path,
            type=type,
            size=size,
            mode=stat.S_IMODE(status.st_mode),
            mtime_ns=status.st_mtime_ns // _SECOND * _SECOND,
            link=link,
            major=os.major(status.st_rdev) if is_device else 0,
            minor=os.minor(status.st_rdev) if is_device else 0,
            xattrs={} if capability is None else {_CAPABILITY: capability},
        )
        if size:
            yield from _content(entry.path, size)


def _entries(directory: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as found:
            return sorted(found, key=lambda entry: os.fsencode(entry.name))
    except PermissionError as error:
        raise LaminaError(f"error checking context: can't stat '{directory}'") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _changed(directory) from error


def _status(entry: os.DirEntry[str]) -> os.stat_result:
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError as error:
        raise _changed(entry.path) from error
    except PermissionError as error:
        raise LaminaError(f"error checking context: can't stat '{entry.path}'") from error


def _link(entry: os.DirEntry[str]) -> str:
    try:
        # A `Path` would shorten what the link says.
        return os.readlink(entry.path)  # noqa: PTH115
    except OSError as error:
        # Gone, or something else by now.
        raise _changed(entry.path) from error


def _content(path: str, size: int) -> Iterator[bytes]:
    """Exactly `size` bytes of a file, as its header says, and what fills its last block."""
    try:
        # Nothing that took the file's place may hold us up, or lead elsewhere.
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except PermissionError as error:
        raise LaminaError(f"error checking context: no permission to read from '{path}'") from error
    except OSError as error:
        raise _changed(path) from error
    try:
        left = size
        while left:
            piece = os.read(file, min(left, CHUNK_SIZE))
            if not piece:
                raise _changed(path)
            left -= len(piece)
            yield piece
    finally:
        os.close(file)
    yield padding(size)


def _capability(path: str) -> bytes | None:
    try:
        return os.getxattr(path, _CAPABILITY, follow_symlinks=False)
    except OSError:
        # Most files have none, many file systems none at all.
        return None


def _own_file(name: str, content: bytes, mode: int, mtime: int) -> bytes:
    header = header_bytes(name, size=len(content), mode=mode, mtime_ns=mtime * _SECOND)
    return header + content + padding(len(content))


def _changed(path: str) -> LaminaError:
    return LaminaError(f"error checking context: '{path}' changed while it was read")
