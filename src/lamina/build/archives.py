"""Which files are archives: what ADD unpacks, and what may be a context."""

from lamina.layers.compression import PREFIX_SIZE, Compression, detect
from lamina.layers.tarheader import BLOCK, checksum_holds


def is_archive(beginning: bytes) -> bool:
    """Whether a file that begins so is a tar, or compressed, which then has to hold a tar."""
    if detect(beginning[:PREFIX_SIZE]) is not Compression.PLAIN:
        return True
    block = beginning[:BLOCK]
    return len(block) == BLOCK and any(block) and checksum_holds(block)
