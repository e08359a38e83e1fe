"""Blobs of the tests, as the registry room sees them: something to read from, something to fill."""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from lamina.errors import DigestMismatch
from lamina.oci.digest import Digest


@dataclass
class Blob:
    """Implements `lamina.registry.uploads.Source`."""

    data: bytes
    reads: list[int] = field(default_factory=list)

    @property
    def digest(self) -> Digest:
        return Digest.of(self.data)

    @property
    def size(self) -> int:
        return len(self.data)

    async def chunks(self, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        self.reads.append(offset)
        end = self.size if length is None else offset + length
        for start in range(offset, end, 1 << 16):
            yield self.data[start : min(end, start + (1 << 16))]


def random_blob(size: int, *, seed: int) -> Blob:
    return Blob(random.Random(seed).randbytes(size))


class Memory:
    """Implements `lamina.registry.downloads.Sink`; `begun` are bytes of an earlier attempt."""

    def __init__(self, begun: bytes = b"") -> None:
        self.data = bytearray(begun)

    @property
    def offset(self) -> int:
        return len(self.data)

    async def write(self, data: bytes) -> None:
        self.data += data

    def verify(self, expected: Digest) -> None:
        actual = Digest.of(bytes(self.data))
        if actual != expected:
            raise DigestMismatch(expected, actual)
