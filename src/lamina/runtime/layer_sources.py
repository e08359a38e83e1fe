"""Layers as they lie in the content store, as what snapshots unpack."""

import asyncio
import os
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import AsyncExitStack, contextmanager
from itertools import chain
from typing import Any, TypeVar

from lamina.content.store import BlobReader, BlobStore
from lamina.layers.compression import PREFIX_SIZE, Decompressor, detect
from lamina.layers.scan import MAX_LAYER
from lamina.oci.digest import Digest
from lamina.records.catalogue import Catalogue, Layer
from lamina.snapshots.store import LayerSource

__all__ = ["layer_sources", "sources_of"]

T = TypeVar("T")

_CHUNK = 1 << 20


def layer_sources(
    catalogue: Catalogue, blobs: BlobStore, diff_ids: Iterable[Digest]
) -> list[LayerSource]:
    """The layers of an image, base first; to be called, and unpacked from, on the running loop."""
    return sources_of((catalogue.layers[diff_id] for diff_id in diff_ids), blobs)


def sources_of(layers: Iterable[Layer], blobs: BlobStore) -> list[LayerSource]:
    """The same of layers whose blobs are known."""
    loop = asyncio.get_running_loop()
    return [_source(layer, blobs, loop) for layer in layers]


def _source(layer: Layer, blobs: BlobStore, loop: asyncio.AbstractEventLoop) -> LayerSource:
    # The one that takes least reading.
    blob = min(layer.blobs, key=lambda blob: blob.size).digest

    @contextmanager
    def opened() -> Iterator[Iterator[bytes]]:
        stack = AsyncExitStack()
        reader = _on(loop, stack.enter_async_context(blobs.open(blob)))
        try:
            yield _decompressed(_chunks(reader, loop))
        finally:
            _on(loop, stack.aclose())

    return LayerSource(layer.diff_id, opened)


def _on(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    """Let the loop, which is free while a thread unpacks, do what only it can."""
    return asyncio.run_coroutine_threadsafe(work, loop).result()


def _chunks(reader: BlobReader, loop: asyncio.AbstractEventLoop) -> Iterator[bytes]:
    try:
        fd = reader.fileno()
    except OSError:
        while piece := _on(loop, reader.read(_CHUNK)):
            yield piece
        return
    offset = 0
    while piece := os.pread(fd, _CHUNK, offset):
        offset += len(piece)
        yield piece


def _decompressed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    beginning = b""
    for piece in chunks:
        beginning += piece
        if len(beginning) >= PREFIX_SIZE:
            break
    decompressor = Decompressor(detect(beginning), limit=MAX_LAYER)
    for data in chain((beginning,), chunks):
        for content in decompressor.feed(data):
            yield bytes(content)
    decompressor.close()
