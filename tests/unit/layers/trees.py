"""Trees on disk, seen by the standard library only: what two of them have to have in common."""

import hashlib
import os
import stat
from pathlib import Path

import pytest

from lamina.layers.ownership import Ownership

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")

# Layers of other people's files, unpacked by whoever runs the tests.
OWNERSHIP = Ownership.SET if os.geteuid() == 0 else Ownership.RECORDED

Facts = tuple[object, ...]

IGNORED_XATTRS = frozenset({"security.selinux"})


def listing(root: Path, *, directory_times: bool = True) -> dict[str, Facts]:
    """Type and mode, owner, mtime, content, target or device, attributes, first hard link."""
    found: dict[str, Facts] = {}
    firsts: dict[tuple[int, int], str] = {}
    paths = [root]
    while paths:
        path = paths.pop()
        info = path.lstat()
        if stat.S_ISDIR(info.st_mode):
            paths += sorted(path.iterdir(), reverse=True)
        shown = str(path.relative_to(root)) if path != root else ""
        found[shown] = facts(path, shown, info, firsts, directory_times=directory_times)
    return found


def facts(
    path: Path,
    shown: str,
    info: os.stat_result,
    firsts: dict[tuple[int, int], str],
    *,
    directory_times: bool,
) -> Facts:
    content: object = None
    first = shown
    if stat.S_ISREG(info.st_mode):
        with path.open("rb") as file:
            content = info.st_size, hashlib.file_digest(file, "sha256").hexdigest()
    elif stat.S_ISLNK(info.st_mode):
        content = str(path.readlink())
    elif stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
        content = os.major(info.st_rdev), os.minor(info.st_rdev)
    if not stat.S_ISDIR(info.st_mode):
        first = firsts.setdefault((info.st_dev, info.st_ino), shown)
    xattrs = {
        name: os.getxattr(path, name, follow_symlinks=False)
        for name in os.listxattr(path, follow_symlinks=False)
        if name not in IGNORED_XATTRS
    }
    time = info.st_mtime_ns if directory_times or not stat.S_ISDIR(info.st_mode) else None
    return (
        oct(info.st_mode), info.st_uid, info.st_gid, time, content, tuple(sorted(xattrs.items())),
        first,
    )  # fmt: skip


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def differences(one: dict[str, Facts], other: dict[str, Facts]) -> dict[str, tuple[object, object]]:
    return {
        path: (one.get(path), other.get(path))
        for path in sorted(one.keys() | other.keys())
        if one.get(path) != other.get(path)
    }
