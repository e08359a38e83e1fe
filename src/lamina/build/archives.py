"""Which files are archives: what ADD unpacks, and what may be a context."""

from lamina.errors import CorruptData
from lamina.layers.compression import PREFIX_SIZE, Compression, Decompressor, detect
from lamina.layers.scan import MAX_LAYER
from lamina.layers.tarheader import BLOCK, checksum_holds


def is_archive(beginning: bytes) -> bool:
    """Whether a file that begins so is a tar, of any compression."""
    kind = detect(beginning[:PREFIX_SIZE])
    block = beginning[:BLOCK]
    if kind is not Compression.PLAIN:
        block = _decompressed(kind, beginning)
    if len(block) < BLOCK or not any(block):
        return False
    try:
        return checksum_holds(block)
    except ValueError:
        return False


def _decompressed(kind: Compression, beginning: bytes) -> bytes:
    """The first block of what is compressed; less if that is broken or too short."""
    block = b""
    try:
        for piece in Decompressor(kind, limit=MAX_LAYER).feed(beginning):
            block += piece[:BLOCK]
            if len(block) >= BLOCK:
                break
    except CorruptData:
        pass
    return block[:BLOCK]
