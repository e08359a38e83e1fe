"""System calls that Python does not have: mounting, and flushing one file system."""

import ctypes
import errno
import os
from pathlib import Path
from typing import Final

__all__ = ["make_private", "mount_overlay", "mounts_below", "sync_file_system", "unmount"]

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_MNT_DETACH: Final = 2
_MS_REC: Final = 1 << 14
_MS_PRIVATE: Final = 1 << 18
_UMOUNT_NOFOLLOW: Final = 8
_MAX_DATA: Final = 4095  # a page, and the NUL
_SPECIAL: Final = frozenset(',:\\"')


def mount_overlay(
    target: Path, *, lowers: list[Path], upper: Path, work: Path, userxattr: bool = False
) -> None:
    """Mount an overlay at `target`; `lowers` come top first. Raises OSError.

    What is under it is exactly what `lamina.layers` reads and writes: no redirects, no metadata
    without content.
    """
    options = "index=off,redirect_dir=nofollow,metacopy=off" + (",userxattr" if userxattr else "")
    paths = [str(path) for path in (*lowers, upper, work)]
    data = _data(paths, options)
    if len(os.fsencode(data)) <= _MAX_DATA and not _SPECIAL.intersection("".join(paths)):
        _mount(target, data)
        return
    # Descriptors are short and need no escapes; the kernel resolves them while it mounts.
    opened: list[int] = []
    try:
        opened += [os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in paths]
        _mount(target, _data([f"/proc/self/fd/{fd}" for fd in opened], options))
    finally:
        for fd in opened:
            os.close(fd)


def unmount(target: Path) -> None:
    """Unmount what is at `target`, even if it is in use; does nothing if nothing is. OSError."""
    flags = _MNT_DETACH | _UMOUNT_NOFOLLOW
    if _LIBC.umount2(os.fsencode(target), flags):
        error = ctypes.get_errno()
        if error not in {errno.EINVAL, errno.ENOENT}:
            raise OSError(error, os.strerror(error), str(target))


def make_private() -> None:
    """Keep what is mounted from now on from other mount namespaces. Raises OSError."""
    if _LIBC.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), "/")


def mounts_below(root: Path, *, process: str = "self") -> list[str]:
    """Return the places below `root`, or at it, where a process sees mounts."""
    table = Path(f"/proc/{process}/mountinfo").read_bytes()
    places = [os.fsdecode(_unescaped(line.split(b" ", 5)[4])) for line in table.splitlines()]
    return [place for place in places if Path(place).is_relative_to(root)]


def _unescaped(raw: bytes) -> bytes:
    """Undo what the kernel does to blanks, newlines and backslashes."""
    first, *rest = raw.split(b"\\")
    return first + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in rest)


def _data(paths: list[str], options: str) -> str:
    *lowers, upper, work = paths
    return f"lowerdir={':'.join(lowers)},upperdir={upper},workdir={work},{options}"


def _mount(target: Path, data: str) -> None:
    if _LIBC.mount(b"overlay", os.fsencode(target), b"overlay", 0, os.fsencode(data)):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), str(target))


def sync_file_system(fd: int) -> None:
    """Wait until the disk has everything of the file system that `fd` is on. Raises OSError."""
    if _LIBC.syncfs(fd):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
