"""Root filesystems ready for a container: with the places where an engine mounts its own things.

As dockerd does, what is missing of them is made in a layer of its own below the writable one. So it
counts neither as the container's changes nor goes into images made of it.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lamina.layers.directories import Directories
from lamina.layers.tarheader import EntryType
from lamina.layers.tarwriter import END, header_bytes
from lamina.oci.digest import Digest
from lamina.oci.rootfs import chain_ids
from lamina.snapshots.disk import opened
from lamina.snapshots.store import LayerSource, Mounted, Snapshots

__all__ = ["RootFilesystems", "missing_places"]

_DIRECTORIES: Final = ("dev/pts", "dev/shm", "proc", "sys")
_FILES: Final = (".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf")
_LINKS: Final = {"etc/mtab": "/proc/mounts"}


class RootFilesystems:
    """Makes snapshots for containers; remembers which places each image lacks."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots
        self._missing: dict[Digest | None, tuple[str, ...]] = {}
        self._whole: set[str] = set()
        """Keys of snapshots whose layers are known to be there."""

    async def create(self, key: str, layers: Sequence[LayerSource]) -> Mounted:
        """Make a snapshot over layers, base first, and mount it. As `Snapshots.create`."""
        await self._snapshots.create(key, await self._with_places(key, layers))
        self._whole.add(key)
        return await self._snapshots.mount(key)

    async def mount(self, key: str, layers: Sequence[LayerSource]) -> Mounted:
        """Mount a snapshot, perhaps of an earlier boot, that was made over these layers. NotFound.

        Trees that did not reach the disk before the power went are made again.
        """
        if key not in self._whole:
            await self._snapshots.unpack(await self._with_places(f"{key}-places", layers))
            self._whole.add(key)
        return await self._snapshots.mount(key)

    async def remove(self, key: str) -> None:
        """Unmount and remove a snapshot. NotFound."""
        self._whole.discard(key)
        await self._snapshots.remove(key)

    async def _with_places(self, key: str, layers: Sequence[LayerSource]) -> list[LayerSource]:
        """The layers with the one that has what they lack; `key` is free for a snapshot to look."""
        chain = chain_ids(layer.diff_id for layer in layers)
        top = chain[-1] if chain else None
        if top not in self._missing:
            await self._snapshots.create(key, layers)
            try:
                mounted = await self._snapshots.mount(key)
                self._missing[top] = await asyncio.to_thread(missing_places, mounted.path)
            finally:
                await self._snapshots.remove(key)
        missing = self._missing[top]
        return [*layers, places_layer(missing)] if missing else list(layers)


def missing_places(root: Path) -> tuple[str, ...]:
    """The true paths of those that a root filesystem lacks, and of directories above them, sorted.

    A place below something that is no directory cannot be made, and is none.
    """
    missing: set[str] = set()
    with opened(root) as fd:
        directories = Directories(fd)
        try:
            for path in (*_DIRECTORIES, *_FILES, *_LINKS):
                missing.update(_lacking(directories, path))
        finally:
            directories.abandon()
    return tuple(sorted(missing))


def _lacking(directories: Directories, path: str) -> list[str]:
    *above, name = path.split("/")
    here = directories.root
    for depth, step in enumerate((*above, name), start=1):
        at = f"{here.path}/{step}" if here.path else step
        try:
            os.lstat(step, dir_fd=here.fd)
            if depth <= len(above):
                here = directories.get(at)
        except FileNotFoundError:
            rest = (*above, name)[depth:]
            return ["/".join((at, *rest[:more])) for more in range(len(rest) + 1)]
        except OSError:
            break
    return []


def places_layer(missing: Sequence[str]) -> LayerSource:
    """The layer that makes places; that of the same ones is always the same."""
    tar = b"".join(map(_entry, missing)) + END

    @contextmanager
    def open_tar() -> Iterator[Iterator[bytes]]:
        yield iter((tar,))

    return LayerSource(Digest.of(tar), open_tar)


def _entry(path: str) -> bytes:
    name = path.rpartition("/")[2]
    if (link := _LINKS.get(f"etc/{name}")) is not None:
        return header_bytes(path, type=EntryType.SYMLINK, mode=0o777, link=link)
    if name in {file.rpartition("/")[2] for file in _FILES}:
        return header_bytes(path, mode=0o755)
    return header_bytes(path, type=EntryType.DIRECTORY, mode=0o755)
