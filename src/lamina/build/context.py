"""The files a build may use: a tar in a file without a name, indexed and hashed as it comes."""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from lamina.build.hashing import FileHashes
from lamina.build.scratch import unnamed_file
from lamina.content.threads import run_to_end
from lamina.dockerfile.ignore import IgnorePatterns
from lamina.errors import LaminaError, NotFound
from lamina.layers.compression import PREFIX_SIZE, Decompressor, detect
from lamina.layers.index import IndexBuilder, IndexEntry, LayerIndex
from lamina.layers.scan import MAX_LAYER, stream_error
from lamina.layers.tarheader import EntryType
from lamina.oci.digest import Digest
from lamina.snapshots.stopping import Stop, until_stopped
from lamina.streams import CHUNK_SIZE, ByteSource, chunks_of


class BuildContext:
    """A context: `index` tells its files, `read` gives a small one whole."""

    def __init__(
        self,
        file: BinaryIO,
        index: LayerIndex,
        *,
        hashes: Mapping[str, str],
        digest: Digest,
        directory: Path,
    ) -> None:
        self._file = file
        self._hashes = hashes
        self.index = index
        self.directory = directory
        """Where there is room for temporary files."""
        self.digest = digest
        """Names what is in it."""

    def fileno(self) -> int:
        """The descriptor of the uncompressed tar."""
        return self._file.fileno()

    def pieces(self) -> Iterator[bytes]:
        """The uncompressed tar, ignored files and all."""
        offset = 0
        while piece := os.pread(self._file.fileno(), CHUNK_SIZE, offset):
            offset += len(piece)
            yield piece

    def hash_of(self, entry: IndexEntry) -> str | None:
        """The hash of a file, as the cache knows it, if it was computed when the context came."""
        if entry.sparse or entry.type is EntryType.HARD_LINK:
            return None
        return self._hashes.get(entry.path)

    def without_ignored(self, patterns: IgnorePatterns, stop: Stop) -> "BuildContext":
        """The same, in which nothing is that an ignore file leaves out. Raises Stopped."""
        entries = until_stopped(self.index, stop)
        index = LayerIndex(
            [entry for entry in entries if not patterns.ignores(entry.path)],
            whiteouts=self.index.whiteouts,
            opaques=self.index.opaques,
        )
        texts = "\n".join(f"{'!' * one.exception}{one.text}" for one in patterns.patterns)
        digest = Digest.of(f"{self.digest}\n{texts}".encode())
        return BuildContext(
            self._file, index, hashes=self._hashes, digest=digest, directory=self.directory
        )

    def read(self, path: str, limit: int) -> bytes:
        """The content of a file of at most `limit` bytes. Raises NotFound, LaminaError."""
        entry = self.index.get(path)
        if entry is None or entry.type not in (EntryType.REGULAR, EntryType.HARD_LINK):
            raise NotFound(f"{path}: no such file or directory")
        if entry.size > limit or entry.sparse:
            raise LaminaError(f"{path} is too large: {entry.size} bytes")
        return os.pread(self._file.fileno(), entry.size, entry.offset)


@contextlib.asynccontextmanager
async def spooled(source: ByteSource, directory: Path) -> AsyncIterator[BuildContext]:
    """The context in a tar of any compression, kept in `directory` (it exists) while it is used.

    Raises CorruptData for what is no tar.
    """
    async with unnamed_file(directory) as file:
        spool = _Spool(file)
        await _fill(spool, source)
        yield await run_to_end(lambda: spool.finish(directory))


async def _fill(spool: "_Spool", source: ByteSource) -> None:
    """Feed it, with much at once; while a thread works on that, more is received."""
    feeding = asyncio.create_task(asyncio.sleep(0))
    waiting: list[bytes] = []
    size = 0
    try:
        async with contextlib.aclosing(chunks_of(source)) as chunks:
            async for chunk in chunks:
                waiting.append(chunk)
                size += len(chunk)
                if size < _FED_AT_ONCE:
                    continue
                await feeding
                data, waiting, size = b"".join(waiting), [], 0
                feeding = asyncio.create_task(run_to_end(partial(spool.feed, data)))
        await feeding
        await run_to_end(lambda: spool.feed(b"".join(waiting)))
    finally:
        # No thread may write to a file that is closed.
        await asyncio.gather(feeding, return_exceptions=True)


_FED_AT_ONCE: Final = 1 << 20


class _Spool:
    """Takes a compressed tar apart; for use in a worker thread."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hashes = FileHashes()
        self._index = IndexBuilder(reader=self._hashes, layer=False)
        self._prefix = bytearray()
        self._decompressor: Decompressor | None = None

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        if self._decompressor is None:
            self._prefix += data
            if len(self._prefix) < PREFIX_SIZE:
                return
            data = self._begin()
        self._take(data)

    def finish(self, directory: Path) -> BuildContext:
        """Say that the body ends here."""
        if self._decompressor is None:
            self._take(self._begin())
        assert self._decompressor is not None
        if self._decompressor.size:
            self._decompressor.close()
        self._file.flush()
        index = self._index.finish()
        hashes = self._hashes.found
        digest = _digest(index, hashes)
        return BuildContext(self._file, index, hashes=hashes, digest=digest, directory=directory)

    def _begin(self) -> bytes:
        beginning = bytes(self._prefix)
        self._prefix.clear()
        self._decompressor = Decompressor(detect(beginning), limit=MAX_LAYER, error=stream_error)
        return beginning

    def _take(self, data: bytes) -> None:
        assert self._decompressor is not None
        for piece in self._decompressor.feed(data):
            self._file.write(piece)
            self._index.feed(piece)


def _digest(index: LayerIndex, hashes: Mapping[str, str]) -> Digest:
    """A digest of all files: their hashes, which say everything but when they were changed."""
    hasher = hashlib.sha256()
    for entry in index:
        hasher.update(f"{hashes[entry.path]} {entry.mtime_ns}\n".encode())
    return Digest.from_hasher(hasher)
