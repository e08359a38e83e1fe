"""Files that a RUN mounts, or that a cache begins with: a tree on disk, and the places in it."""

import contextlib
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lamina.containers.containers import Containers
from lamina.errors import Conflict, InvalidParameter, NotFound
from lamina.oci.rootfs import chain_ids
from lamina.snapshots.store import LayerSource, Mounted, Snapshots

_MAX_LINKS: Final = 40


@dataclass(frozen=True, slots=True)
class FileTree:
    """Files that a mount shows: `layers`, base first; `name` is for messages."""

    name: str
    layers: tuple[LayerSource, ...]
    is_passing: bool = False
    """No other build will have the same files: what is unpacked of them need not be kept."""


@dataclass(frozen=True, slots=True)
class MountedTrees:
    """Puts trees on disk while they are used."""

    containers: Containers

    @asynccontextmanager
    async def unpacked(self, tree: FileTree) -> AsyncIterator[Mounted]:
        """A tree on disk, which the context's owner alone may change."""
        workshop = self.containers.workshop
        snapshots = await workshop.snapshots()
        key = workshop.key()
        try:
            await snapshots.create(key, tree.layers)
            yield await snapshots.mount(key)
        finally:
            await self.containers.records.finish(_forget(snapshots, key, tree))


async def _forget(snapshots: Snapshots, key: str, tree: FileTree) -> None:
    with contextlib.suppress(NotFound):
        await snapshots.remove(key)
    if tree.is_passing:
        for chain_id in chain_ids(layer.diff_id for layer in tree.layers):
            # Another step of the build may have it mounted.
            with contextlib.suppress(Conflict):
                await snapshots.remove_tree(chain_id)


def place_in(root: Path, path: str, name: str) -> Path:
    """The true place of `path` below `root`, relative to it; links never lead out of it.

    For a worker thread. `name` says what `root` is. Raises NotFound, InvalidParameter.
    """
    waiting = [part for part in path.split("/") if part not in ("", ".")]
    waiting.reverse()
    true: list[str] = []
    links = 0
    while waiting:
        part = waiting.pop()
        if part == "..":
            del true[-1:]
            continue
        here = root.joinpath(*true, part)
        try:
            found = here.lstat()
        except (OSError, ValueError):
            raise NotFound(f'failed to compute cache key: "{path}" not found in {name}') from None
        if not stat.S_ISLNK(found.st_mode):
            true.append(part)
            continue
        links += 1
        if links > _MAX_LINKS:
            raise InvalidParameter(f"{path}: too many levels of symbolic links")
        target = str(here.readlink())
        if target.startswith("/"):
            true = []
        waiting += [step for step in reversed(target.split("/")) if step not in ("", ".")]
    return Path(*true)
