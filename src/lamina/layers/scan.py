"""One look at a layer while it streams by: its diff ID, its sizes, and whether it is sound."""

import hashlib
from typing import Final

import msgspec

from lamina.errors import InvalidLayer
from lamina.layers.compression import PREFIX_SIZE, Compression, Decompressor, detect
from lamina.layers.footprint import Footprint, FootprintLimits, unpack_error
from lamina.layers.tarheader import TarHeader
from lamina.layers.tarstream import TarScanner
from lamina.oci.digest import Digest

__all__ = ["MAX_LAYER", "LayerScan", "ScannedLayer"]

MAX_LAYER: Final = 1 << 40
"""Bytes of a layer's tar stream, unless the caller says otherwise."""


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


def _stream_error(why: str) -> InvalidLayer:
    return InvalidLayer(f"Error processing tar file({why}): ")


class LayerScan:
    """Takes a layer's blob as it was received, in pieces, compressed or not.

    Only a part of what an unpacking engine would find is checked: the compression, the headers,
    that no path leads out of the layer, that hard links have targets, and the limits. `limit`
    bounds the uncompressed stream in bytes.

    A plain blob's diff ID is its own digest, which the caller may be computing anyway: with
    `hash_plain=False` it is not computed again, and has to be given to `finish`.
    """

    def __init__(
        self,
        *,
        limit: int = MAX_LAYER,
        limits: FootprintLimits | None = None,
        hash_plain: bool = True,
    ) -> None:
        self._limit = limit
        self._hash_plain = hash_plain
        self._footprint = Footprint(limits, error=unpack_error)
        self._scanner = TarScanner(self._on_entry, error=unpack_error)
        self._hash = hashlib.sha256()
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

    def finish(self, *, blob_digest: Digest | None = None) -> ScannedLayer:
        """Say that the blob ends here, and return what it was.

        `blob_digest` is the sha256 digest of what was fed, needed for a plain blob that was not
        hashed here and else not looked at. Raises InvalidLayer if the blob is not complete.
        """
        if self._decompressor is None:
            self._begin(self._prefix)
        decompressor = self._decompressor
        assert decompressor is not None
        decompressor.close()
        self._scanner.close()
        if self._hashing:
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
            compression=decompressor.kind,
        )

    def _begin(self, prefix: bytes) -> None:
        kind = detect(prefix)
        self._decompressor = Decompressor(kind, limit=self._limit, error=_stream_error)
        self._hashing = self._hash_plain or kind is not Compression.PLAIN
        if self._prefix:
            self._take(self._prefix)

    def _take(self, data: bytes | memoryview) -> None:
        assert self._decompressor is not None
        for piece in self._decompressor.feed(data):
            if self._hashing:
                self._hash.update(piece)
            self._scanner.feed(piece)

    def _on_entry(self, header: TarHeader) -> bool:
        self._footprint.add(header)
        return False
