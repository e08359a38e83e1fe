"""One layer on its way in: stored as it comes, scanned meanwhile."""

from dataclasses import dataclass
from typing import Final, Protocol

from lamina.errors import InvalidLayer
from lamina.layers.compression import PREFIX_SIZE, Compression, Decompressor, detect
from lamina.layers.scan import MAX_LAYER, LayerScan
from lamina.oci import mediatype
from lamina.oci.digest import Digest
from lamina.records.catalogue import Layer, LayerBlob

MEDIA_TYPES: Final = {
    Compression.PLAIN: mediatype.OCI_LAYER,
    Compression.GZIP: mediatype.OCI_LAYER_GZIP,
    Compression.ZSTD: mediatype.OCI_LAYER_ZSTD,
}
"""No media type exists for bzip2 and xz: such layers are stored decompressed."""


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """A layer whose bytes lie in the store: its blob, and what the scan found."""

    blob: LayerBlob
    diff_id: Digest
    size: int
    tar_size: int

    def record(self) -> Layer:
        """The layer as it is kept in the records."""
        return Layer(self.diff_id, self.size, self.tar_size, (self.blob,))


class LayerWriter(Protocol):
    """What a `LayerIntake` needs of a blob's writer."""

    @property
    def offset(self) -> int:
        """Bytes taken so far."""

    def write_sync(self, data: bytes | memoryview) -> None:
        """Append."""

    def finish_sync(self) -> Digest:
        """Verify and make durable, not yet visible."""


class LayerIntake:
    """Feeds a layer's bytes to a blob's writer and to a scan; for use in a worker thread.

    The compression is told from the first bytes. `expected` is the blob's digest, if somebody has
    named it: the bytes are then written as they are, all of them even if they are no layer, and
    whether they are is said at the end. Nothing is published: that is the caller's to do, after
    `finish`.
    """

    def __init__(self, writer: LayerWriter, *, expected: Digest | None = None) -> None:
        self._writer = writer
        self._is_named = expected is not None
        # A blob's own digest is its diff ID if it is a plain layer, and of the algorithm of those.
        is_other = expected is not None and expected.algorithm != "sha256"
        self._scan = LayerScan(hash_plain=is_other)
        self._prefix: bytes | None = b""
        self._decompressor: Decompressor | None = None
        self._error: InvalidLayer | None = None

    @property
    def compression(self) -> Compression | None:
        """How the layer is compressed; None as long as too little of it has come."""
        return self._scan.compression

    @property
    def is_sound(self) -> bool:
        """Whether what has come may be the beginning of a layer."""
        return self._error is None

    def feed(self, data: bytes | memoryview) -> None:
        """Take the next bytes. Raises InvalidLayer, unless the blob is a named one."""
        if self._prefix is None:
            self._take(data)
            return
        self._prefix += data
        if len(self._prefix) >= PREFIX_SIZE:
            self._begin(self._prefix)

    def finish(self) -> StoredLayer:
        """Say that the layer ends here; returns what it was.

        Raises InvalidLayer, also for a named blob, whose writer is finished nevertheless, and
        DigestMismatch.
        """
        if self._prefix is not None:
            self._begin(self._prefix)
        if self._decompressor is not None:
            self._decompressor.close()
        if not self._is_named:
            # What is no layer is not worth the wait for the disk.
            self._scan.close()
        digest = self._writer.finish_sync()
        if self._error is not None:
            raise self._error
        found = self._scan.finish(blob_digest=digest)
        return StoredLayer(
            blob=LayerBlob(digest, MEDIA_TYPES[found.compression], self._writer.offset),
            diff_id=found.diff_id,
            size=found.unpacked_size,
            tar_size=found.size,
        )

    def _begin(self, beginning: bytes) -> None:
        self._prefix = None
        kind = detect(beginning)
        if kind not in MEDIA_TYPES:
            if self._is_named:
                self._error = InvalidLayer(f"layers compressed with {kind} have no media type")
            else:
                self._decompressor = Decompressor(kind, limit=MAX_LAYER)
        self._take(beginning)

    def _take(self, data: bytes | memoryview) -> None:
        pieces = (data,) if self._decompressor is None else self._decompressor.feed(data)
        for piece in pieces:
            self._writer.write_sync(piece)
            self._look_at(piece)

    def _look_at(self, piece: bytes | memoryview) -> None:
        if self._error is not None:
            return
        try:
            self._scan.feed(piece)
        except InvalidLayer as error:
            if not self._is_named:
                raise
            self._error = error
