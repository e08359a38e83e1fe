"""The contents of some files of one layer, in any order.

An uncompressed tar in a file is read where the data lies. Of any other the wanted files are taken
out in one pass, into a file without a name.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import BinaryIO, Final, Self

from lamina.layers.footprint import unpack_error
from lamina.layers.index import IndexEntry
from lamina.layers.sparse import SparseData
from lamina.layers.tarheader import EntryType, TarHeader
from lamina.layers.tarstream import TarScanner

__all__ = ["LayerContents"]

_CHUNK: Final = 1 << 20


class LayerContents:
    """Reads files of a layer; for a worker thread, and to be used as a context.

    `stream` opens the uncompressed tar, `file` is the descriptor of the same where it is a file,
    `wanted` are the entries that will be asked for; `scratch` is a directory for a temporary file.
    """

    def __init__(
        self,
        stream: Callable[[], AbstractContextManager[Iterator[bytes]]],
        wanted: Sequence[IndexEntry],
        *,
        file: int | None,
        scratch: Path,
    ) -> None:
        self._stream = stream
        self._wanted = [entry for entry in wanted if entry.size]
        self._file = file
        self._scratch = scratch
        self._stack = ExitStack()
        self._places: dict[int, int] | None = None
        self._descriptor = -1

    def __enter__(self) -> Self:
        if self._file is not None and not any(entry.sparse for entry in self._wanted):
            self._descriptor = self._file
            return self
        taken = self._stack.enter_context(tempfile.TemporaryFile(dir=self._scratch))
        try:
            self._take_out(taken)
        except BaseException:
            self._stack.close()
            raise
        self._descriptor = taken.fileno()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the temporary file, if there is one."""
        self._stack.close()

    def pieces(self, entry: IndexEntry) -> Iterator[bytes]:
        """The content of a wanted file, in pieces of at most a MiB."""
        offset = entry.offset if self._places is None else self._places.get(entry.offset, 0)
        left = entry.size
        while left:
            piece = os.pread(self._descriptor, min(left, _CHUNK), offset)
            if not piece:
                raise unpack_error("unexpected EOF")
            left -= len(piece)
            offset += len(piece)
            yield piece

    def _take_out(self, taken: BinaryIO) -> None:
        places: dict[int, int] = {}
        offsets = {entry.offset for entry in self._wanted}
        writer = _Taker(taken, offsets, places)
        scanner = TarScanner(
            writer.on_entry, on_data=writer.on_data, on_end=writer.on_end, error=unpack_error
        )
        with self._stream() as chunks:
            for chunk in chunks:
                scanner.feed(chunk)
                if len(places) == len(offsets) and not writer.is_busy:
                    break
        taken.flush()
        self._places = places


class _Taker:
    """Writes the data of wanted entries one after another."""

    def __init__(self, taken: BinaryIO, offsets: set[int], places: dict[int, int]) -> None:
        self._taken = taken
        self._offsets = offsets
        self._places = places
        self._end = 0
        self._at = 0
        self._sparse: SparseData | None = None
        self.is_busy = False

    def on_entry(self, header: TarHeader) -> bool:
        if header.offset not in self._offsets or header.type == EntryType.HARD_LINK:
            return False
        self._places[header.offset] = self._at = self._end
        self._end += header.size
        self._taken.truncate(self._end)
        self.is_busy = True
        if header.sparse:
            try:
                self._sparse = SparseData(header, self._write_at)
            except ValueError as broken:
                raise unpack_error(f"archive/tar: invalid tar header: {broken}") from broken
        return True

    def on_data(self, data: memoryview) -> None:
        if self._sparse is not None:
            try:
                self._sparse.feed(data)
            except ValueError as broken:
                raise unpack_error(f"archive/tar: invalid tar header: {broken}") from broken
            return
        self._taken.seek(self._at)
        self._taken.write(data)
        self._at += len(data)

    def on_end(self) -> None:
        self._sparse = None
        self.is_busy = False

    def _write_at(self, data: memoryview, offset: int) -> None:
        self._taken.seek(self._at + offset)
        self._taken.write(data)
