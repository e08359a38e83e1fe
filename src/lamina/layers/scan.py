"""One look at a layer while it streams by: its diff ID, its sizes, and whether it is sound."""

import hashlib
from concurrent.futures import Executor, Future
from typing import Final

import msgspec

from lamina.errors import InvalidLayer
from lamina.layers.compression import PREFIX_SIZE, Compression, Decompressor, detect
from lamina.layers.footprint import Footprint, FootprintLimits, unpack_error
from lamina.layers.tarheader import TarHeader
from lamina.layers.tarstream import TarScanner
from lamina.oci.digest import Digest

__all__ = ["MAX_LAYER", "LayerScan", "ScannedLayer", "stream_error"]

MAX_LAYER: Final = 1 << 40
"""Bytes of a layer's tar stream, unless the caller says otherwise."""


_HASHED_AT_ONCE: Final = 1 << 20
"""Bytes whose hashing is worth another thread."""


class ScannedLayer(msgspec.Struct, frozen=True):
    """What a `LayerScan` found."""

    diff_id: Digest
    """The digest of the uncompressed tar stream."""
    size: int
    """Bytes of the uncompressed tar stream."""
    unpacked_size: int
    """Bytes a dockerd shows as the layer's size; the rule is `Footprint`'s."""
    entries: int
    compression: Compression


def stream_error(why: str) -> InvalidLayer:
    """The error of a broken compression, in the words of a dockerd that unpacks it."""
    return InvalidLayer(f"Error processing tar file({why}): ")


class LayerScan:
    """Takes a layer's blob as it was received, in pieces, compressed or not.

    Only a part of what an unpacking engine would find is checked: the compression, the headers,
    that no path leads out of the layer, that hard links have targets, and the limits. `limit`
    bounds the uncompressed stream in bytes.

    Given an executor as `hashing`, the content is hashed there while the next is decompressed.

    A plain blob's diff ID is its own digest, which the caller may be computing anyway: with
    `hash_plain=False` it is not computed again, and has to be given to `finish`.
    """

    def __init__(
        self,
        *,
        limit: int = MAX_LAYER,
        limits: FootprintLimits | None = None,
        hash_plain: bool = True,
        hashing: Executor | None = None,
    ) -> None:
        self._limit = limit
        self._hash_plain = hash_plain
        self._footprint = Footprint(limits, error=unpack_error)
        self._scanner = TarScanner(self._on_entry, error=unpack_error)
        self._hash = hashlib.sha256()
        self._executor = hashing
        self._unhashed: list[bytes | memoryview] = []
        self._unhashed_size = 0
        self._hashed: Future[None] | None = None
        self._hashing = True
        self._prefix = b""
        self._decompressor: Decompressor | None = None

    @property
    def compression(self) -> Compression | None:
        """How the blob is compressed; None as long as too little of it has come."""
        return None if self._decompressor is None else self._decompressor.kind

    def feed(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the blob. Raises InvalidLayer."""
        if self._decompressor is None:
            if len(self._prefix) + len(data) < PREFIX_SIZE:
                self._prefix += bytes(data)
                return
            self._begin(self._prefix + bytes(data[:PREFIX_SIZE]))
        self._take(data)

    def close(self) -> None:
        """Say that the blob ends here. Raises InvalidLayer if it is not complete."""
        if self._decompressor is None:
            self._begin(self._prefix)
        assert self._decompressor is not None
        self._decompressor.close()
        self._scanner.close()

    def finish(self, *, blob_digest: Digest | None = None) -> ScannedLayer:
        """Close, and return what the blob was.

        `blob_digest` is the sha256 digest of what was fed, needed for a plain blob that was not
        hashed here and else not looked at. Raises InvalidLayer if the blob is not complete.
        """
        self.close()
        assert self._decompressor is not None
        if self._hashing:
            self._hand_over()
            self._wait()
            diff_id = Digest.from_hasher(self._hash)
        elif blob_digest is None:
            raise ValueError("the digest of a plain blob that was not hashed here is missing")
        else:
            diff_id = blob_digest
        return ScannedLayer(
            diff_id=diff_id,
            size=self._scanner.size,
            unpacked_size=self._footprint.total,
            entries=self._scanner.entries,
            compression=self._decompressor.kind,
        )

    def _begin(self, prefix: bytes) -> None:
        kind = detect(prefix)
        self._decompressor = Decompressor(kind, limit=self._limit, error=stream_error)
        self._hashing = self._hash_plain or kind is not Compression.PLAIN
        if self._prefix:
            self._take(self._prefix)

    def _take(self, data: bytes | memoryview) -> None:
        assert self._decompressor is not None
        for piece in self._decompressor.feed(data):
            if self._hashing:
                self._take_hash(piece)
            self._scanner.feed(piece)

    def _take_hash(self, piece: bytes | memoryview) -> None:
        # What is the caller's own may change when we return: only what was decompressed waits.
        if self._executor is None or self.compression is Compression.PLAIN:
            self._hash.update(piece)
            return
        self._unhashed.append(piece)
        self._unhashed_size += len(piece)
        if self._unhashed_size >= _HASHED_AT_ONCE:
            self._hand_over()

    def _hand_over(self) -> None:
        self._wait()
        pieces, self._unhashed, self._unhashed_size = self._unhashed, [], 0
        if pieces and self._executor is not None:
            self._hashed = self._executor.submit(self._hash_all, pieces)

    def _wait(self) -> None:
        hashed, self._hashed = self._hashed, None
        if hashed is not None:
            hashed.result()

    def _hash_all(self, pieces: list[bytes | memoryview]) -> None:
        for piece in pieces:
            self._hash.update(piece)

    def _on_entry(self, header: TarHeader) -> bool:
        self._footprint.add(header)
        return False
