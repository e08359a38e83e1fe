"""Where a path of a container is, and what is there.

A running container is looked at from where its first process is, so that its mounts are seen; of
one that does not run, the mounts that are directories of the host are. Nothing leads out of either.
"""

import errno
import os
import posixpath
import stat
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lamina.containers.containers import Containers
from lamina.containers.stored import settings_of
from lamina.content.threads import run_to_end
from lamina.errors import NotFound
from lamina.layers.directories import OPEN_DIRECTORY, Directories
from lamina.layers.ownership import Ownership
from lamina.models import MountPoint, PathStat
from lamina.oci.timestamp import format_unix
from lamina.records.containers import Container
from lamina.runtime.sandbox import Sandbox

__all__ = [
    "Located",
    "View",
    "located",
    "open_root",
    "ownership_of",
    "path_stat",
    "stat_of",
    "view_of",
]

_NOWHERE: Final = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP))
# Bits of Go's fs.FileMode.
_GO_TYPES: Final = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
_GO_BITS: Final = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


@dataclass(frozen=True, slots=True)
class View:
    """A directory that is some path of a container, and the rest of the path that is asked for."""

    root: Path
    path: str
    """Relative to `root`, with a slash at its end if it must be a directory."""
    above: str
    """Where `root` is in the container."""
    ownership: Ownership
    writable: bool


@asynccontextmanager
async def view_of(containers: Containers, container: Container, path: str) -> AsyncIterator[View]:
    """What a path of a container is looked for in, for as long as the context lasts."""
    containers.check_ours(container)
    live = containers.live(container)
    async with containers.rootfs(container) as mounted:
        ownership = await ownership_of(containers)
        sandbox = live.sandbox
        if sandbox is None:
            yield await run_to_end(lambda: _view(container, path, mounted.path, ownership))
            return
        seen: list[int] = []
        try:
            await run_to_end(lambda: seen.append(_open_seen(sandbox, mounted.path)))
            root = Path(f"/proc/self/fd/{seen[0]}")
            yield _view(container, path, root, ownership, running=True)
        finally:
            for fd in seen:
                os.close(fd)


async def ownership_of(containers: Containers) -> Ownership:
    """How owners are kept in root filesystems."""
    snapshots = await containers.workshop.snapshots()
    recorded = snapshots.details.get("Ownership") == Ownership.RECORDED.value
    return Ownership.RECORDED if recorded else Ownership.SET


def _open_seen(sandbox: Sandbox, otherwise: Path) -> int:
    """Open the root directory as a container sees it, if we may look there."""
    with suppress(OSError):
        fd = open_root(Path(f"/proc/{sandbox.pid}/root"))
        # It may have ended, and its ID be that of a process of the host's.
        if sandbox.is_there():
            return fd
        os.close(fd)
    return open_root(otherwise)


def _view(
    container: Container,
    path: str,
    root: Path,
    ownership: Ownership,
    *,
    running: bool = False,
) -> View:
    settings = settings_of(container)
    absolute = posixpath.normpath(f"/{path}").replace("//", "/")
    slash = "/" if path.endswith(("/", "/.")) else ""
    above = "/"
    writable = not settings.host_config.readonly_rootfs
    mount = _mount_at(settings.mounts, absolute)
    if mount is not None:
        writable = mount.rw
        if not running and Path(mount.source).is_dir():
            root, above = Path(mount.source), mount.destination
    relative = absolute[len(above) :] if above != "/" else absolute
    return View(root, f"{relative.lstrip('/')}{slash}", above, ownership, writable)


def _mount_at(mounts: Iterable[MountPoint], path: str) -> MountPoint | None:
    """The mount that a path is on, as it is written."""
    on = [mount for mount in mounts if f"{path}/".startswith(f"{mount.destination}/")]
    return max(on, key=lambda mount: len(mount.destination), default=None)


@dataclass(frozen=True, slots=True)
class Located:
    """What is at a path: `parent` is a true path, `name` empty for the root itself."""

    parent: str
    name: str
    there: os.stat_result
    target: str
    """What it links to, from the root; empty if it is no link."""

    @property
    def path(self) -> str:
        """Its true path, without a slash at its beginning."""
        return (
            f"{self.parent}/{self.name}"
            if self.parent and self.name
            else (self.parent or self.name)
        )


def _locate(root: int, path: str) -> Located:
    """Look for a path, through links but for the last step. Raises OSError."""
    directories = Directories(root)
    try:
        if not path.strip("/") or path.endswith("/"):
            found = directories.get(path.strip("/"))
            parent, _, name = found.path.rpartition("/")
            return Located(parent, name, os.fstat(found.fd), "")
        above, _, name = path.rpartition("/")
        parent_directory = directories.get(above)
        there = os.lstat(name, dir_fd=parent_directory.fd)
        target = ""
        if stat.S_ISLNK(there.st_mode):
            link = os.readlink(name, dir_fd=parent_directory.fd)
            target = posixpath.normpath(posixpath.join(f"/{parent_directory.path}", link))
        return Located(parent_directory.path, name, there, target)
    finally:
        directories.abandon()


def open_root(path: Path) -> int:
    """Open a directory of ours, through a link: what `/proc` says of a process's root is one."""
    return os.open(f"{path}/.", OPEN_DIRECTORY)


def located(name: str, path: str, view: View) -> Located:
    """What there is at the path that a view is of. NotFound.

    `name` and `path` are how container and path were asked for.
    """
    root = open_root(view.root)
    try:
        return _locate(root, view.path)
    except OSError as error:
        if error.errno in _NOWHERE:
            raise NotFound(f"Could not find the file {path} in container {name}") from error
        raise
    finally:
        os.close(root)


def _name(path: str) -> str:
    """What a path is called: its last component as it was given, a dot or a slash included."""
    if path.endswith("/."):
        return "."
    return posixpath.basename(path.rstrip("/")) or "/"


def stat_of(path: str, found: Located) -> PathStat:
    """What is told of it; `path` is how it was asked for."""
    mode = found.there.st_mode
    go = stat.S_IMODE(mode) & 0o777 | _GO_TYPES.get(stat.S_IFMT(mode), 0)
    for bit, theirs in _GO_BITS.items():
        go |= theirs if mode & bit else 0
    return PathStat(
        name=_name(path),
        size=found.there.st_size,
        mode=go,
        mtime=format_unix(found.there.st_mtime_ns),
        link_target=found.target,
    )


async def path_stat(containers: Containers, name: str, path: str) -> PathStat:
    """What there is at a path. NotFound."""
    container = containers.find(name)
    async with view_of(containers, container, path) as view:
        return stat_of(path, await run_to_end(lambda: located(name, path, view)))
