"""One layer on its way in: stored as it comes, scanned meanwhile."""

from dataclasses import dataclass
from typing import Final

from lamina.content.store import BlobWriter
from lamina.layers.compression import PREFIX_SIZE, Compression, Decompressor, detect
from lamina.layers.scan import MAX_LAYER, LayerScan
from lamina.oci import mediatype
from lamina.oci.digest import Digest
from lamina.records.catalogue import Layer, LayerBlob

_MEDIA_TYPES: Final = {
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


class LayerIntake:
    """Feeds a layer's bytes to a blob's writer and to a scan; for use in a worker thread.

    The compression is told from the first bytes. Nothing is published: that is the caller's to do,
    after `finish`. Raises InvalidLayer, DigestMismatch, SizeMismatch.
    """

    def __init__(self, writer: BlobWriter) -> None:
        self._writer = writer
        self._scan = LayerScan(hash_plain=False)
        self._prefix: bytes | None = b""
        self._decompressor: Decompressor | None = None

    def feed(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        if self._prefix is None:
            self._take(data)
            return
        self._prefix += data
        if len(self._prefix) >= PREFIX_SIZE:
            self._begin(self._prefix)

    def finish(self) -> StoredLayer:
        """Say that the layer ends here; returns what it was."""
        if self._prefix is not None:
            self._begin(self._prefix)
        if self._decompressor is not None:
            self._decompressor.close()
        digest = self._writer.finish_sync()
        found = self._scan.finish(blob_digest=digest)
        return StoredLayer(
            blob=LayerBlob(digest, _MEDIA_TYPES[found.compression], self._writer.offset),
            diff_id=found.diff_id,
            size=found.unpacked_size,
            tar_size=found.size,
        )

    def _begin(self, beginning: bytes) -> None:
        self._prefix = None
        kind = detect(beginning)
        if kind not in _MEDIA_TYPES:
            self._decompressor = Decompressor(kind, limit=MAX_LAYER)
        self._take(beginning)

    def _take(self, data: bytes | memoryview) -> None:
        pieces = (data,) if self._decompressor is None else self._decompressor.feed(data)
        for piece in pieces:
            self._writer.write_sync(piece)
            self._scan.feed(piece)
