"""Sparse files in a tar stream: which pieces of the content are stored, and where they belong.

GNU tar has had four forms. The oldest keeps the map in the header block and the blocks behind it;
PAX 0.0 and 0.1 keep it in records; PAX 1.0 puts it before the data, as decimal lines padded to a
block. The first three come with the header (`TarHeader.fragments`), the last one with the data.
"""

from collections.abc import Callable, Sequence
from typing import Final

from lamina.layers.tarheader import BLOCK, TarHeader, number, pax_number

__all__ = ["MAX_FRAGMENTS", "SparseData", "gnu_fragments", "pax_fragments"]

MAX_FRAGMENTS: Final = 1 << 16
"""Pieces that one map may have: as many as fit into the largest extension header."""

_GNU_PAIR: Final = 24  # two numbers of 12 bytes
_MAX_LINE: Final = 20  # decimal digits of a number in a map before the data, and its newline

Fragments = Sequence[tuple[int, int]]


def gnu_fragments(raw: bytes) -> tuple[tuple[int, int], ...]:
    """Parse the pairs of GNU's old form, which end with the block or with an empty one.

    Raises ValueError.
    """
    pairs: list[tuple[int, int]] = []
    for at in range(0, len(raw), _GNU_PAIR):
        if not raw[at] or not raw[at + 12]:
            break
        pairs.append((number(raw[at : at + 12]), number(raw[at + 12 : at + 24])))
    return tuple(pairs)


def pax_fragments(raw: bytes) -> tuple[tuple[int, int], ...]:
    """Parse the map of PAX form 0.1: offsets and lengths between commas. Raises ValueError."""
    numbers = [pax_number(value) for value in raw.split(b",")] if raw else []
    if len(numbers) % 2 or len(numbers) > 2 * MAX_FRAGMENTS:
        raise ValueError("broken map of a sparse file")
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


class SparseData:
    """Takes the data of a sparse entry in pieces of any size, and writes what belongs where.

    `write` gets views and the offset in the content each of them belongs to. Raises ValueError for
    a map that is out of order, leaves the content, or does not cover the data.
    """

    def __init__(self, header: TarHeader, write: Callable[[memoryview, int], None]) -> None:
        self._size = header.size
        self._left = header.stored
        self._write = write
        # The map before the data: the part of it that has come, and the numbers found in it.
        self._map: bytearray | None = None
        self._parsed = 0
        self._numbers: list[int] = []
        self._fragments: list[tuple[int, int]] = []
        if header.fragments is None:
            self._map = bytearray()
        else:
            self._begin(header.fragments)

    def feed(self, data: memoryview) -> None:
        """Take the next bytes of the entry's data."""
        if self._map is not None:
            data = self._feed_map(self._map, data)
        while data:
            if not self._fragments:
                raise ValueError("more data than the map of the sparse file has")
            offset, length = self._fragments[-1]
            piece = data[:length]
            self._write(piece, offset)
            data = data[length:]
            if len(piece) == length:
                self._fragments.pop()
            else:
                self._fragments[-1] = (offset + len(piece), length - len(piece))

    def close(self) -> None:
        """Say that the data ends here."""
        if self._map is not None or self._fragments:
            raise ValueError("less data than the map of the sparse file has")

    def _begin(self, fragments: Fragments) -> None:
        end = stored = 0
        for offset, length in fragments:
            if offset < end or length < 0 or offset + length > self._size:
                raise ValueError("broken map of a sparse file")
            end = offset + length
            stored += length
        if stored != self._left:
            raise ValueError("the map of the sparse file does not cover its data")
        # The next one is at the end, where it is cheap to take. Empty ones only mark a size.
        self._fragments = [(offset, length) for offset, length in fragments if length][::-1]

    def _feed_map(self, taken: bytearray, data: memoryview) -> memoryview:
        """Take the map, block by block; return what follows it."""
        while data:
            piece = data[: BLOCK - len(taken) % BLOCK]
            taken += piece
            data = data[len(piece) :]
            self._left -= len(piece)
            if len(taken) % BLOCK == 0 and self._parse(taken):
                self._map = None
                self._begin(list(zip(self._numbers[1::2], self._numbers[2::2], strict=True)))
                break
        return data

    def _parse(self, taken: bytearray) -> bool:
        """Parse the lines of the map that have come; tell whether it is complete."""
        numbers = self._numbers
        while not numbers or len(numbers) <= 2 * numbers[0]:
            end = taken.find(b"\n", self._parsed, self._parsed + _MAX_LINE)
            if end < 0:
                if len(taken) - self._parsed >= _MAX_LINE:
                    raise ValueError("broken map of a sparse file")
                return False
            numbers.append(pax_number(bytes(taken[self._parsed : end])))
            if not 0 <= numbers[0] <= MAX_FRAGMENTS:
                raise ValueError("too large a map of a sparse file")
            self._parsed = end + 1
        return True
