"""Open directories below a root that nothing leads out of.

Every step of a path is opened by itself, relative to the directory above, and never through a
symbolic link: links are read and followed here, as if the root were the file system's (as dockerd
does it with chroot). So no link, whoever planted it, leads out, and none can be swapped in between
looking and opening.
"""

import errno
import os
import stat
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = [
    "OPEN_DIRECTORY",
    "Directories",
    "Directory",
    "open_regular",
    "remove",
    "remove_below",
    "remove_path",
    "size_below",
]

OPEN_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_HOPS: Final = 40  # as many as Linux follows in one path
_MAX_OPEN: Final = 64
_MAX_ALIASES: Final = 4096
_MAX_DEPTH: Final = 32
_LINKS: Final = frozenset((errno.ENOTDIR, errno.ELOOP))


class Directory:
    """An open directory. `path` is its true one: no step of it is a link."""

    __slots__ = ("fd", "fresh", "path")

    def __init__(self, fd: int, path: str, *, fresh: bool = False) -> None:
        self.fd: Final = fd
        self.path: Final = path
        self.fresh: Final = fresh
        """Made by us, and still as it was made: what is made in it has our owner and our mode."""


class Directories:
    """The directories below `root`, a descriptor that stays the caller's; the last few stay open.

    `make(parent, name)` is called for a step that is not there, or is neither a directory nor a
    link (`there` tells which); it makes a directory or raises. Without it, OSError is raised.
    `closing` is called before a directory is closed, and for the root too.
    """

    def __init__(
        self,
        root: int,
        *,
        fresh: bool = False,
        make: Callable[[Directory, str, bool], None] | None = None,
        closing: Callable[[Directory], None] | None = None,
    ) -> None:
        self.root: Final = Directory(root, "", fresh=fresh)
        self._make = make
        self._closing = closing
        self._open: OrderedDict[str, Directory] = OrderedDict()
        # True paths of paths that go through links.
        self._aliases: dict[str, str] = {}

    def get(self, path: str) -> Directory:
        """Return the directory at `path`, open until the next call. Raises OSError."""
        if not path:
            return self.root
        there = self._open.get(path)
        if there is None:
            there = self._open.get(self._aliases.get(path, path))
        if there is None:
            return self._walk(path)
        self._open.move_to_end(there.path)
        return there

    def enter(self, parent: Directory, name: str, *, fresh: bool) -> Directory:
        """Open the directory `name` of `parent`, which is no link. Raises OSError."""
        path = f"{parent.path}/{name}" if parent.path else name
        there = self._open.get(path)
        if there is not None:
            return there
        entered = Directory(os.open(name, OPEN_DIRECTORY, dir_fd=parent.fd), path, fresh=fresh)
        self._open[path] = entered
        while len(self._open) > _MAX_OPEN:
            self._close(self._open.popitem(last=False)[1])
        return entered

    def forget(self) -> None:
        """Close all: a directory or a link is about to be removed or replaced."""
        self._aliases.clear()
        while self._open:
            self._close(self._open.popitem()[1])

    def finish(self) -> None:
        """Close all, and call `closing` for the root."""
        self.forget()
        if self._closing is not None:
            self._closing(self.root)

    def abandon(self) -> None:
        """Close all without another word: something has failed."""
        self._closing = None
        self.forget()

    def _close(self, directory: Directory) -> None:
        try:
            if self._closing is not None:
                self._closing(directory)
        finally:
            os.close(directory.fd)

    def _walk(self, path: str) -> Directory:
        """Open step by step what is not open yet."""
        here, ahead = self._nearest(path)
        hops = 0
        while ahead:
            step = ahead.pop()
            if step == "..":
                # `here` is a true path, so this is not the parent of some link.
                above, _, _ = here.path.rpartition("/")
                here, more = self._nearest(above)
                ahead += more
                continue
            if step in {"", "."}:
                continue
            target = self._step(here, step)
            if isinstance(target, Directory):
                here = target
                continue
            hops += 1
            if hops > _MAX_HOPS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            ahead += target.split("/")[::-1]
            if target.startswith("/"):
                here = self.root
        if hops:
            if len(self._aliases) >= _MAX_ALIASES:
                self._aliases.clear()
            self._aliases[path] = here.path
        return here

    def _nearest(self, path: str) -> tuple[Directory, list[str]]:
        """Return the nearest open directory above or at `path`, and the steps left, last first."""
        at = len(path)
        while at > 0:
            known = self._open.get(path[:at])
            if known is not None:
                self._open.move_to_end(known.path)
                return known, path[at + 1 :].split("/")[::-1] if at < len(path) else []
            at = path.rfind("/", 0, at)
        return self.root, path.split("/")[::-1] if path else []

    def _step(self, here: Directory, name: str) -> Directory | str:
        """Return a directory, or where the link in its place leads."""
        there = True
        try:
            return self.enter(here, name, fresh=False)
        except OSError as error:
            if error.errno in _LINKS:
                with suppress(OSError):
                    return os.readlink(name, dir_fd=here.fd)
            elif error.errno == errno.ENOENT:
                there = False
            else:
                raise
            if self._make is None:
                raise
        self._make(here, name, there)
        return self.enter(here, name, fresh=here.fresh)


def open_regular(root: int, path: str) -> int:
    """Open for reading the regular file at `path` below the directory `root`, through links.

    Nothing else is opened, as a device may take that for a command. The caller closes. OSError.
    """
    directories = Directories(root)
    try:
        for _ in range(_MAX_HOPS):
            above, _, name = path.rstrip("/").rpartition("/")
            parent = directories.get(above)
            handle = os.open(
                name or ".", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent.fd
            )
            try:
                mode = os.fstat(handle).st_mode
                if stat.S_ISREG(mode):
                    return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_CLOEXEC)
                if not stat.S_ISLNK(mode):
                    raise OSError(errno.EINVAL, "not a regular file", path)
                target = os.readlink("", dir_fd=handle)
            finally:
                os.close(handle)
            path = target if target.startswith("/") else f"{parent.path}/{target}"
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    finally:
        directories.abandon()


def remove(name: str, *, within: int) -> None:
    """Remove what `name` is in the directory `within`, with all below it. Raises OSError."""
    try:
        os.unlink(name, dir_fd=within)
    except IsADirectoryError:
        fd = _open_to_empty(name, within)
        try:
            remove_below(fd)
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=within)


def remove_path(path: Path) -> None:
    """`remove` what is at a path. Raises OSError."""
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        remove(path.name, within=fd)
    finally:
        os.close(fd)


def remove_below(fd: int) -> None:
    """Remove everything in the open directory, however deep. Raises OSError.

    Few descriptors are open at once, no path is long and nothing recurses far: what is deeper than
    that is moved up, to be removed from there.
    """
    moved = [0]
    while True:
        before = moved[0]
        _empty(fd, fd, 0, moved)
        if moved[0] == before:
            return


def _empty(fd: int, top: int, depth: int, moved: list[int]) -> None:
    with os.scandir(fd) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        if not is_directory:
            os.unlink(name, dir_fd=fd)
            continue
        below = _open_to_empty(name, fd)
        try:
            if depth >= _MAX_DEPTH:
                if _is_empty(below):
                    os.rmdir(name, dir_fd=fd)
                else:
                    _move_up(name, fd, top, moved)
                continue
            _empty(below, top, depth + 1, moved)
        finally:
            os.close(below)
        os.rmdir(name, dir_fd=fd)


def _is_empty(fd: int) -> bool:
    with os.scandir(fd) as entries:
        return next(entries, None) is None


def _move_up(name: str, fd: int, top: int, moved: list[int]) -> None:
    while True:
        moved[0] += 1
        new_name = f".lamina-removed-{moved[0]}"
        try:
            os.lstat(new_name, dir_fd=top)
        except FileNotFoundError:
            os.rename(name, new_name, src_dir_fd=fd, dst_dir_fd=top)
            return


def _open_to_empty(name: str, within: int) -> int:
    """Open a directory so that it can be emptied; one of our own may say that it cannot."""
    try:
        fd = os.open(name, OPEN_DIRECTORY, dir_fd=within)
    except PermissionError:
        handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=within)
        try:
            Path(f"/proc/self/fd/{handle}").chmod(0o700)
        finally:
            os.close(handle)
        fd = os.open(name, OPEN_DIRECTORY, dir_fd=within)
    info = os.fstat(fd)
    if info.st_mode & stat.S_IRWXU != stat.S_IRWXU and info.st_uid == os.geteuid() != 0:
        os.fchmod(fd, 0o700)
    return fd


def size_below(directory: Path) -> int:
    """Bytes of all files below, each counted once; what is not there, or disappears, has none."""
    try:
        root = os.open(directory, OPEN_DIRECTORY)
    except OSError:
        return 0
    directories = Directories(root)
    sizes: dict[tuple[int, int], int] = {}
    ahead = [""]
    try:
        while ahead:
            path = ahead.pop()
            with suppress(OSError), os.scandir(directories.get(path).fd) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        ahead.append(f"{path}/{entry.name}" if path else entry.name)
                        continue
                    with suppress(FileNotFoundError):
                        found = entry.stat(follow_symlinks=False)
                        sizes[found.st_dev, found.st_ino] = found.st_size
    finally:
        directories.abandon()
        os.close(root)
    return sum(sizes.values())
