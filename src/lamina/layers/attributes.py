"""Giving files the owner, mode, extended attributes and time that a layer's entry says.

In this order: a new owner drops the set-user-ID bits and ``security.capability``, and all of them
change times.
"""

import errno
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from lamina.layers.directories import Directory
from lamina.layers.ownership import RECORD, Ownership, Recorded
from lamina.layers.tarheader import EntryType, TarHeader

__all__ = ["SPECIAL", "Attributes"]

SPECIAL: Final = {
    int(EntryType.CHARACTER_DEVICE): stat.S_IFCHR,
    int(EntryType.BLOCK_DEVICE): stat.S_IFBLK,
    int(EntryType.FIFO): stat.S_IFIFO,
}
"""Types of entries that are no files to be opened: what they are in a mode."""

_DIRECTORY: Final = int(EntryType.DIRECTORY)
_HANDLE: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_ID: Final = 2**32 - 2
_TIMES: Final = 2**62  # nanoseconds either side of the epoch: more than any file system keeps
# A file system without attributes, or a name space that forbids this one: dockerd goes on, too.
_NO_XATTR: Final = frozenset((errno.ENOTSUP, errno.EPERM))
# Overlayfs would take them for its own word on what lies below; and the record is ours.
_FORBIDDEN_XATTRS: Final = ("trusted.overlay.", "user.overlay.", RECORD)


class Attributes:
    """Sets attributes in one of the ways of `Ownership`."""

    def __init__(self, ownership: Ownership) -> None:
        self._recorded = ownership is Ownership.RECORDED
        self._uid, self._gid = os.geteuid(), os.getegid()
        # Bits that a file does not get when it is made; cheaper to know than to set every mode.
        self._withheld = _umask() | 0o7000

    def settle(self, fd: int, header: TarHeader, *, fresh: bool) -> None:
        """Give an open file or directory what the header says."""
        mode = header.mode & 0o7777
        if self._recorded:
            self.record(fd, header)
            # Readable and writable to us, whatever the layer says of its own owner.
            mode = (mode & 0o777) | (0o700 if header.type == _DIRECTORY else 0o600)
        elif not fresh or header.uid != self._uid or header.gid != self._gid:
            os.fchown(fd, *_owner(header))
        if header.xattrs:
            _set_xattrs(fd, header.xattrs)
        if not fresh or mode & self._withheld or self._recorded or header.type == _DIRECTORY:
            os.fchmod(fd, mode)
        time = header.mtime_ns
        if not -_TIMES < time < _TIMES:
            time = min(max(time, -_TIMES), _TIMES)
        os.utime(fd, ns=(time, time))

    def settle_symlink(self, parent: Directory, name: str, header: TarHeader) -> None:
        """Do the same for a symbolic link, which has no mode."""
        fd = parent.fd
        if not self._recorded and not (
            parent.fresh and header.uid == self._uid and header.gid == self._gid
        ):
            os.chown(name, *_owner(header), dir_fd=fd, follow_symlinks=False)
        if header.xattrs:
            _set_xattrs(f"/proc/self/fd/{fd}/{name}", header.xattrs, follow_symlinks=False)
        time = min(max(header.mtime_ns, -_TIMES), _TIMES)
        os.utime(name, ns=(time, time), dir_fd=fd, follow_symlinks=False)

    def settle_special(self, parent: Directory, name: str, header: TarHeader) -> None:
        """Do the same for what must not be opened: devices and FIFOs, and for hard links."""
        handle = os.open(name, _HANDLE, dir_fd=parent.fd)
        path = f"/proc/self/fd/{handle}"
        try:
            if not self._recorded:
                os.chown(path, *_owner(header))
            if header.xattrs:
                _set_xattrs(path, header.xattrs)
            Path(path).chmod(header.mode & (0o777 if self._recorded else 0o7777))
            time = min(max(header.mtime_ns, -_TIMES), _TIMES)
            os.utime(path, ns=(time, time))
        finally:
            os.close(handle)

    def settle_link(self, parent: Directory, name: str, header: TarHeader) -> None:
        """Do the same for a hard link, if it says something else than the entry it links to."""
        there = os.lstat(name, dir_fd=parent.fd)
        if stat.S_ISLNK(there.st_mode):
            # The time stays that of the link's own entry, as dockerd and umoci have it.
            if not self._recorded:
                os.chown(name, *_owner(header), dir_fd=parent.fd, follow_symlinks=False)
            return
        found = (there.st_uid, there.st_gid, stat.S_IMODE(there.st_mode), there.st_mtime_ns)
        said = (header.uid, header.gid, header.mode & 0o7777, header.mtime_ns)
        if not self._recorded and (found != said or header.xattrs):
            self.settle_special(parent, name, header)

    def record(self, fd: int, header: TarHeader) -> None:
        """Record what cannot be set; a file system without attributes forgets it."""
        kind = SPECIAL.get(header.type)
        if kind is None:
            kind = stat.S_IFDIR if header.type == _DIRECTORY else stat.S_IFREG
        mode = kind | header.mode & 0o7777
        record = Recorded(mode, *_owner(header), header.major, header.minor)
        _set_xattrs(fd, {RECORD: record.format()}, forbidden=())


def _umask() -> int:
    """Return the process's umask, which cannot be asked for without changing it for all threads."""
    with suppress(OSError):
        found = re.search(
            r"^Umask:\s*([0-7]+)$", Path("/proc/self/status").read_text(), re.MULTILINE
        )
        if found:
            return int(found[1], 8)
    return 0o777


def _owner(header: TarHeader) -> tuple[int, int]:
    if not (0 <= header.uid <= _MAX_ID and 0 <= header.gid <= _MAX_ID):
        raise OSError(errno.EINVAL, f"{os.strerror(errno.EINVAL)} (owner)")
    return header.uid, header.gid


def _set_xattrs(
    file: int | str,
    xattrs: Mapping[str, bytes],
    *,
    forbidden: tuple[str, ...] = _FORBIDDEN_XATTRS,
    follow_symlinks: bool = True,
) -> None:
    for name, value in xattrs.items():
        if forbidden and name.startswith(forbidden):
            continue
        try:
            if isinstance(file, int):
                os.setxattr(file, name, value)
            else:
                os.setxattr(file, name, value, follow_symlinks=follow_symlinks)
        except OSError as error:
            if error.errno not in _NO_XATTR:
                raise
