"""What all ways of keeping snapshots in a directory have in common."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from lamina.content.threads import run_to_end
from lamina.oci.digest import Digest
from lamina.oci.rootfs import chain_ids
from lamina.snapshots.disk import SnapshotDisk, TreeRemoved
from lamina.snapshots.flushing import Flusher
from lamina.snapshots.stopping import Stop
from lamina.snapshots.store import LayerSource

__all__ = ["SnapshotsOnDisk"]

_ATTEMPTS: Final = 10


class SnapshotsOnDisk(ABC):
    """The part of `Snapshots` that is names and life cycles; `workers` threads do the work.

    Trees are written back to the disk in the background some `patience` seconds after they were
    made; never, if that is None.
    """

    def __init__(self, root: Path, *, workers: int, patience: float | None) -> None:
        self._disk = SnapshotDisk(root)
        self._flusher: Flusher | None = None
        if patience is not None:
            self._flusher = Flusher(self._disk.flush, patience=patience)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="snapshots")

    @abstractmethod
    async def _unpack(self, layers: Sequence[LayerSource], chain: Sequence[Digest]) -> None:
        """Make the trees of layers, whose chain IDs are `chain`. TreeRemoved."""

    @abstractmethod
    def _create(self, key: str, chain: Sequence[Digest], stop: Stop) -> None:
        """Make a snapshot over trees that were there a moment ago. Conflict, TreeRemoved."""

    @abstractmethod
    async def unmount(self, key: str) -> None:
        """As the protocol says."""

    @abstractmethod
    def _release(self, path: Path) -> None:
        """End what keeps a directory of a killed process from being removed."""

    async def unpack(self, layers: Sequence[LayerSource]) -> Digest | None:
        """As the protocol says."""
        chain = chain_ids(layer.diff_id for layer in layers)
        await _despite_removals(lambda: self._unpack(layers, chain))
        return chain[-1] if chain else None

    async def create(self, key: str, layers: Sequence[LayerSource]) -> None:
        """As the protocol says."""
        self._disk.snapshot(key)
        chain = chain_ids(layer.diff_id for layer in layers)

        async def create() -> None:
            await self._unpack(layers, chain)
            stop = Stop()
            await run_to_end(lambda: self._create(key, chain, stop), self._threads, stop=stop.set)

        await _despite_removals(create)

    def _made(self, staged: Path, chain_id: Digest) -> None:
        """Publish a tree, and have the disk take it."""
        self._disk.publish_tree(staged, chain_id)
        if self._flusher is not None:
            self._flusher.add(chain_id)

    async def remove(self, key: str) -> None:
        """As the protocol says."""
        path = self._disk.existing(key)
        await self.unmount(key)
        await run_to_end(lambda: self._disk.discard(path), self._threads)

    async def keys(self) -> list[str]:
        """As the protocol says."""
        return self._disk.keys()

    async def trees(self) -> list[Digest]:
        """As the protocol says."""
        return self._disk.trees()

    async def remove_tree(self, chain_id: Digest) -> None:
        """As the protocol says."""
        await run_to_end(lambda: self._disk.remove_tree(chain_id), self._threads)

    async def sweep(self, *, keep: Callable[[str], bool]) -> None:
        """As the protocol says."""
        for key in await self.keys():
            if not keep(key):
                await self.remove(key)
        await run_to_end(lambda: self._disk.sweep(release=self._release), self._threads)

    async def close(self) -> None:
        """As the protocol says."""
        await asyncio.to_thread(self._threads.shutdown)
        if self._flusher is not None:
            await asyncio.to_thread(self._flusher.close)


async def _despite_removals(work: Callable[[], Awaitable[None]]) -> None:
    """Work anew as often as a tree is removed that nobody else knew of a use for."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(TreeRemoved):
            await work()
            return
    await work()
