"""An open blob of the local store."""

import os
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from lamina.content.blobs import BlobFiles
from lamina.content.store import READ_LIMIT
from lamina.content.threads import Threads
from lamina.errors import CorruptData
from lamina.oci.digest import Digest


class LocalReader:
    """A `BlobReader` on a file.

    Reads name their offset, so any number may run at once. One that was cancelled may still be in
    its thread when the file is closed; what it then reads goes nowhere.
    """

    def __init__(self, digest: Digest, blobs: BlobFiles, threads: Threads) -> None:
        self._digest = digest
        self._blobs = blobs
        self._threads = threads
        self._descriptor = -1
        self._size = 0
        self._position = 0

    async def begin(self) -> None:
        """Open the file; BlobNotFound."""
        await self._threads.run_to_end(self._open)

    def close(self) -> None:
        """Close the file, if it was opened."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _open(self) -> None:
        self._descriptor = self._blobs.open(self._digest)
        self._size = os.fstat(self._descriptor).st_size

    @property
    def digest(self) -> Digest:
        """The name of the blob."""
        return self._digest

    @property
    def size(self) -> int:
        """Bytes in the blob."""
        return self._size

    @property
    def local_path(self) -> Path | None:
        """The blob's file."""
        return self._blobs.path(self._digest)

    def fileno(self) -> int:
        """The descriptor; reads of this object do not use its file position."""
        return self._descriptor

    async def read(self, n: int = -1) -> bytes:
        """The next `n` bytes, or the rest: see `BlobReader`."""
        rest = self._size - self._position
        if n < 0 and rest > READ_LIMIT:
            raise CorruptData(
                f"blob {self._digest} is too large to be read whole: {self._size} bytes"
            )
        data = await self.read_range(self._position, min(rest if n < 0 else n, READ_LIMIT))
        self._position += len(data)
        return data

    async def read_range(self, offset: int, length: int) -> bytes:
        """Bytes from `offset`, fewer only where the blob ends: see `BlobReader`."""
        if offset < 0 or not 0 <= length <= READ_LIMIT:
            raise ValueError(f"no range that can be read at once: {length} bytes at {offset}")
        if not (wanted := min(length, self._size - offset)) > 0:
            return b""
        return await self._threads.run(partial(self._read, offset, wanted))

    async def chunks(
        self, offset: int = 0, length: int | None = None, chunk_size: int = 1 << 20
    ) -> AsyncIterator[bytes]:
        """The bytes from `offset`; the next piece is read while the caller is busy with one."""
        if offset < 0 or (length is not None and length < 0) or not 0 < chunk_size <= READ_LIMIT:
            raise ValueError(f"no range that can be read: {length} bytes at {offset}")
        end = self._size if length is None else min(self._size, offset + length)
        if offset >= end:
            return
        data = await self._threads.run(partial(self._read, offset, min(chunk_size, end - offset)))
        while (offset := offset + len(data)) < end:
            following = partial(self._read, offset, min(chunk_size, end - offset))
            ahead = self._threads.files.submit(following)
            try:
                yield data
                data = await self._threads.result_of(ahead)
            finally:
                ahead.cancel()
        yield data

    def _read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes: a blob's file never shrinks unless something went wrong."""
        data = os.pread(self._descriptor, length, offset)
        if len(data) == length:
            return data
        pieces = [data]
        missing = length - len(data)
        while missing:
            if not (data := os.pread(self._descriptor, missing, offset + length - missing)):
                raise CorruptData(f"blob {self._digest} is shorter than it was")
            pieces.append(data)
            missing -= len(data)
        return b"".join(pieces)
