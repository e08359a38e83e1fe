"""The files a build may use: a tar, kept in a file without a name and indexed as it comes."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from lamina.content.threads import run_to_end
from lamina.dockerfile.ignore import IgnorePatterns
from lamina.errors import LaminaError, NotFound
from lamina.layers.compression import PREFIX_SIZE, Decompressor, detect
from lamina.layers.index import IndexBuilder, LayerIndex
from lamina.layers.scan import MAX_LAYER
from lamina.layers.tarheader import EntryType
from lamina.oci.digest import Digest
from lamina.streams import CHUNK_SIZE, ByteSource, chunks_of


class BuildContext:
    """A context: `index` tells its files, `read` gives a small one whole."""

    def __init__(self, file: BinaryIO, index: LayerIndex, digest: Digest, directory: Path) -> None:
        self._file = file
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

    def without_ignored(self, patterns: IgnorePatterns) -> "BuildContext":
        """The same, in which nothing is that an ignore file leaves out."""
        index = LayerIndex(
            [entry for entry in self.index if not patterns.ignores(entry.path)],
            whiteouts=self.index.whiteouts,
            opaques=self.index.opaques,
        )
        texts = "\n".join(f"{'!' * one.exception}{one.text}" for one in patterns.patterns)
        digest = Digest.of(f"{self.digest}\n{texts}".encode())
        return BuildContext(self._file, index, digest, self.directory)

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
    with tempfile.TemporaryFile(dir=directory) as file:
        spool = _Spool(file)
        async with contextlib.aclosing(chunks_of(source)) as chunks:
            async for chunk in chunks:
                await run_to_end(partial(spool.feed, chunk))
        index = await run_to_end(spool.finish)
        yield BuildContext(file, index, spool.digest, directory)


class _Spool:
    """Takes a compressed tar apart; for use in a worker thread."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._index = IndexBuilder()
        self._hasher = hashlib.sha256()
        self._prefix = bytearray()
        self._decompressor: Decompressor | None = None

    @property
    def digest(self) -> Digest:
        """The digest of the uncompressed tar so far."""
        return Digest.from_hasher(self._hasher)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        if self._decompressor is None:
            self._prefix += data
            if len(self._prefix) < PREFIX_SIZE:
                return
            data = self._begin()
        self._take(data)

    def finish(self) -> LayerIndex:
        """Say that the body ends here."""
        if self._decompressor is None:
            self._take(self._begin())
        assert self._decompressor is not None
        if self._decompressor.size:
            self._decompressor.close()
        self._file.flush()
        return self._index.finish()

    def _begin(self) -> bytes:
        beginning = bytes(self._prefix)
        self._prefix.clear()
        self._decompressor = Decompressor(detect(beginning), limit=MAX_LAYER)
        return beginning

    def _take(self, data: bytes) -> None:
        assert self._decompressor is not None
        for piece in self._decompressor.feed(data):
            self._file.write(piece)
            self._hasher.update(piece)
            self._index.feed(piece)
