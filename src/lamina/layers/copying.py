"""Copying the content of files with as little work as the file system allows."""

import errno
import fcntl
import os
from typing import Final

__all__ = ["copy_content"]

_FICLONE: Final = 0x40049409
_CANNOT: Final = frozenset((
    errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM,
))  # fmt: skip
_PIECE: Final = 1 << 20


def copy_content(source: int, target: int) -> None:
    """Copy a file to an empty one, both open: shared where it can be, in the kernel otherwise.

    Holes are kept. Raises OSError.
    """
    try:
        fcntl.ioctl(target, _FICLONE, source)
        return
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    size = os.fstat(source).st_size
    at = 0
    while at < size:
        try:
            at = os.lseek(source, at, os.SEEK_DATA)
            end = os.lseek(source, at, os.SEEK_HOLE)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break  # nothing but a hole is left
        _copy_range(source, target, at, end)
        at = end
    os.ftruncate(target, size)


def _copy_range(source: int, target: int, at: int, end: int) -> None:
    while at < end:
        try:
            copied = os.copy_file_range(source, target, end - at, at, at)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            copied = os.pwrite(target, os.pread(source, min(_PIECE, end - at), at), at)
        if not copied:
            return  # it has become shorter
        at += copied
