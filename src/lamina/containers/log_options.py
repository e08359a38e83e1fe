"""Options of Docker's json-file log driver."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from lamina.errors import InvalidParameter
from lamina.units import parse_size

__all__ = ["LogOptions"]

_KNOWN: Final = frozenset(
    ("compress", "env", "env-regex", "labels", "labels-regex", "max-file", "max-size", "tag")
)
_MOST_FILES: Final = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class LogOptions:
    """How much of a log is kept."""

    limit: int | None = None
    """Bytes after which a new file is begun; None for never."""
    files: int = 1
    """How many files there are at most."""

    @classmethod
    def parse(cls, options: Mapping[str, str]) -> Self:
        """Read the options of a container. InvalidParameter, with dockerd's words."""
        for name in options:
            if name not in _KNOWN:
                raise InvalidParameter(f"unknown log opt '{name}' for json-file log driver")
        limit = _size(options["max-size"]) if "max-size" in options else None
        text = options.get("max-file", "1")
        files = int(text) if _MOST_FILES.fullmatch(text) else 0
        if files < 1:
            raise InvalidParameter("max-file cannot be less than 1")
        return cls(limit, files)


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise InvalidParameter(str(error)) from error
