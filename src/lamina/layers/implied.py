"""Directories that an archive has only because something is in them.

A path of 4 KiB may imply two thousand, whose own paths are 4 MiB long: a few KiB of compressed
archive would need all memory there is.
"""

from collections.abc import Callable
from typing import Final

from lamina.errors import LaminaError

__all__ = ["MAX_IMPLIED", "ImpliedDirectories"]

MAX_IMPLIED: Final = 256 << 20
"""Bytes of memory, about, that the implied directories of one archive may take."""

_COST: Final = 256  # bytes of one beside its path


class ImpliedDirectories:
    """Counts them; `error` makes the exception out of the words that say what is wrong."""

    def __init__(self, error: Callable[[str], LaminaError], *, limit: int = MAX_IMPLIED) -> None:
        self._error = error
        self._limit = limit
        self._cost = 0

    def add(self, path: str) -> None:
        """Take one more that nothing names. Raises the error if they are too many."""
        self._cost += len(path) + _COST
        if self._cost > self._limit:
            raise self._error("too many directories without an entry")
