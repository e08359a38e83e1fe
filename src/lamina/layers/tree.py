"""Walking a tree on disk in one order for all time: sorted, each directory before what is in it."""

import errno
import os
import stat
from contextlib import suppress
from typing import Final

import msgspec

from lamina.layers.directories import Directories
from lamina.layers.ownership import RECORD, Ownership, Recorded

__all__ = ["Node", "Tree"]

_CAPABILITY: Final = "security.capability"
_NO_FILE: Final = frozenset((errno.ELOOP, errno.ENXIO))  # a link, a socket or a FIFO
_REVISION_2: Final = 2
_REVISION_3: Final = 3
_SIZE_2: Final = 20  # bytes of a capability of revision 2, which 3 only adds a user to


class Node(msgspec.Struct, frozen=True):
    """A path of a tree, with its recorded owner and type where there is a record."""

    path: str
    mode: int
    """Type and permissions, as in ``st_mode``."""
    uid: int
    gid: int
    size: int
    mtime_ns: int
    major: int
    minor: int
    inode: tuple[int, int] | None
    """What the paths of one file share; None if it has one path only."""

    @property
    def type(self) -> int:
        """The type bits of the mode."""
        return stat.S_IFMT(self.mode)

    @property
    def is_directory(self) -> bool:
        """Whether it is one."""
        return stat.S_ISDIR(self.mode)


class Tree:
    """A directory to read, however deep; nothing read from it is outside. A context manager.

    What disappears while it is read is left out.
    """

    def __init__(self, root: int, ownership: Ownership = Ownership.SET) -> None:
        self._directories = Directories(root)
        self._recorded = ownership is Ownership.RECORDED

    def close(self) -> None:
        """Close what is open; the root stays the caller's."""
        self._directories.abandon()

    def names(self, path: str) -> list[str]:
        """Return the names in a directory, sorted by their bytes; none if it is not there."""
        try:
            fd = self._directories.get(path).fd
        except (FileNotFoundError, NotADirectoryError):
            return []
        with os.scandir(fd) as entries:
            return sorted((entry.name for entry in entries), key=os.fsencode)

    def descriptor(self, path: str) -> int:
        """Return a directory's descriptor, which is open until the next call. Raises OSError."""
        return self._directories.get(path).fd

    def node(self, path: str) -> Node | None:
        """Look at a path; None if nothing is there."""
        above, _, name = path.rpartition("/")
        try:
            fd = self._directories.get(above).fd
            there = os.fstat(fd) if not name else os.lstat(name, dir_fd=fd)
        except (FileNotFoundError, NotADirectoryError):
            return None
        mode, uid, gid, device = there.st_mode, there.st_uid, there.st_gid, there.st_rdev
        major, minor = os.major(device), os.minor(device)
        if self._recorded:
            # What is ours is root's: whoever made it was root of a user namespace of ours.
            uid, gid = (0 if uid == os.geteuid() else uid), (0 if gid == os.getegid() else gid)
            record = self._record(path) if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else None
            if record is not None:
                uid, gid, major, minor = record.uid, record.gid, record.major, record.minor
                # Unless the mode was changed since it was recorded.
                extra = stat.S_IRWXU if stat.S_ISDIR(mode) else stat.S_IRUSR | stat.S_IWUSR
                if stat.S_IMODE(mode) == record.mode & 0o777 | extra:
                    mode = record.mode
                else:
                    mode = stat.S_IFMT(record.mode) | stat.S_IMODE(mode)
        shared = there.st_nlink > 1 and not stat.S_ISDIR(mode)
        return Node(
            path=path,
            mode=mode,
            uid=uid,
            gid=gid,
            size=there.st_size,
            mtime_ns=there.st_mtime_ns,
            major=major,
            minor=minor,
            inode=(there.st_dev, there.st_ino) if shared else None,
        )

    def _record(self, path: str) -> Recorded | None:
        raw = self.xattr(path, RECORD)
        with suppress(ValueError):
            return None if raw is None else Recorded.parse(raw)
        return None  # not ours: the file speaks for itself

    def xattr(self, path: str, name: str) -> bytes | None:
        """Return an extended attribute of the path itself, None if it has none."""
        above, _, base = path.rpartition("/")
        with suppress(OSError):
            if not base:
                return os.getxattr(self._directories.root.fd, name)
            fd = self._directories.get(above).fd
            return os.getxattr(f"/proc/self/fd/{fd}/{base}", name, follow_symlinks=False)
        return None

    def capability(self, path: str) -> bytes | None:
        """Return ``security.capability`` as it is written into layers.

        That is without the user who is root in the name space that set it, as dockerd does it:
        elsewhere it means nothing.
        """
        raw = self.xattr(path, _CAPABILITY)
        if raw is not None and len(raw) > _SIZE_2 and raw[3] == _REVISION_3:
            return raw[:3] + bytes([_REVISION_2]) + raw[4:_SIZE_2]
        return raw

    def xattrs(self, path: str) -> dict[str, bytes]:
        """Return all extended attributes of the path itself."""
        above, _, base = path.rpartition("/")
        names: list[str] = []
        with suppress(OSError):
            fd = self._directories.get(above).fd
            file = f"/proc/self/fd/{fd}/{base}" if base else f"/proc/self/fd/{fd}"
            names = os.listxattr(file, follow_symlinks=not base)
        found = {name: self.xattr(path, name) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    def target(self, path: str) -> str | None:
        """Return a symbolic link's target, None if there is no link (any more)."""
        above, _, name = path.rpartition("/")
        with suppress(OSError):
            return os.readlink(name, dir_fd=self._directories.get(above).fd)
        return None

    def open(self, path: str) -> int | None:
        """Open a regular file for reading; None if there is none (any more)."""
        above, _, name = path.rpartition("/")
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(name, flags, dir_fd=self._directories.get(above).fd)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            if error.errno in _NO_FILE:
                return None
            raise
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
        return None
