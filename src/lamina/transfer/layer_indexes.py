"""The indexes of the layers of a root: made when one is first needed, and kept.

::

    ROOT/indexes/<hex of the diff ID>   a `LayerIndex`, encoded
"""

import asyncio
import contextlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from lamina.content.store import BlobStore
from lamina.content.threads import run_to_end
from lamina.errors import CorruptData
from lamina.layers.index import LayerIndex
from lamina.oci.digest import Digest
from lamina.records.catalogue import Layer
from lamina.runtime.layer_sources import sources_of
from lamina.snapshots.store import LayerSource

_HELD: Final = 150_000
"""Entries, of all indexes together, that are held in memory: a few hundred bytes each."""

_WRITTEN_WITHIN: Final = 3600.0
"""Seconds after which a file without a diff ID's name is one that a killed process left."""


class LayerIndexes:
    """Indexes by diff ID; those used last are held in memory. For one event loop."""

    def __init__(self, directory: Path, blobs: BlobStore) -> None:
        self._directory = directory
        self._blobs = blobs
        self._held: OrderedDict[Digest, LayerIndex] = OrderedDict()
        self._making: dict[Digest, asyncio.Lock] = {}

    async def of(self, layers: Iterable[Layer]) -> list[LayerIndex]:
        """The indexes of layers that stay for as long, in their order."""
        return [await self.get(layer) for layer in layers]

    async def get(self, layer: Layer) -> LayerIndex:
        """The index of a layer. Raises BlobNotFound, InvalidLayer."""
        index = self._held.get(layer.diff_id)
        if index is None:
            try:
                async with self._making.setdefault(layer.diff_id, asyncio.Lock()):
                    index = self._held.get(layer.diff_id)
                    if index is None:
                        index = await self._make(layer)
            finally:
                self._making.pop(layer.diff_id, None)
        self._hold(layer.diff_id, index)
        return index

    async def forget(self, known: Collection[Digest]) -> None:
        """Remove the indexes of all layers but those that are known."""
        names = {diff_id.hex for diff_id in known}
        await asyncio.to_thread(self._remove_others, names)

    async def _make(self, layer: Layer) -> LayerIndex:
        path = self._directory / layer.diff_id.hex
        index = await asyncio.to_thread(_read, path)
        if index is None:
            [source] = sources_of([layer], self._blobs)
            index = await run_to_end(lambda: _build(source, path))
        return index

    def _hold(self, diff_id: Digest, index: LayerIndex) -> None:
        self._held[diff_id] = index
        self._held.move_to_end(diff_id)
        while len(self._held) > 1 and sum(map(len, self._held.values())) > _HELD:
            self._held.popitem(last=False)

    def _remove_others(self, names: Collection[str]) -> None:
        with contextlib.suppress(FileNotFoundError):
            for path in list(self._directory.iterdir()):
                if path.name not in names and not _is_being_written(path):
                    path.unlink(missing_ok=True)


def _is_being_written(path: Path) -> bool:
    """Whether another process may be about to give this file its name."""
    with contextlib.suppress(FileNotFoundError):
        return path.name.startswith(".") and time.time() - path.stat().st_mtime < _WRITTEN_WITHIN
    return False


def _read(path: Path) -> LayerIndex | None:
    """A kept index; one that a power cut has torn is made anew."""
    try:
        return LayerIndex.decode(path.read_bytes())
    except (FileNotFoundError, CorruptData):
        return None


def _build(source: LayerSource, path: Path) -> LayerIndex:
    with source.open() as chunks:
        index = LayerIndex.build(chunks)
    # Without room for it, it is made anew next time: the layer can be looked into all the same.
    with contextlib.suppress(OSError):
        _keep(index, path)
    return index


def _keep(index: LayerIndex, path: Path) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    fresh = path.with_name(f".{secrets.token_hex(8)}")
    try:
        fresh.write_bytes(index.encode())
        fresh.rename(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
