"""Sizes and durations for people, as Docker words and reads them (its `go-units`). Pure."""

import re
from typing import Final

__all__ = ["binary_size", "human_duration", "human_size", "parse_size"]

_DECIMAL: Final = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
_SIZE: Final = re.compile(
    r"([0-9]{1,32}(?:\.[0-9]{0,32})?|\.[0-9]{1,32}) ?([kmgtp]?)i?b?", re.IGNORECASE | re.ASCII
)
_POWERS: Final = " kmgtp"


def parse_size(text: str) -> int:
    """Bytes of ``64m``, ``1.5 GiB`` or ``7``: units are powers of 1024, as `RAMInBytes` has them.

    Raises ValueError for what is no size, or more than 63 bits hold.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"invalid size: '{text}'")
    size = int(float(match[1]) * 1024 ** _POWERS.index(match[2].lower() or " "))
    if size >= 1 << 63:
        raise ValueError(f"size is out of range: '{text}'")
    return size


def human_size(size: float, digits: int = 4) -> str:
    """Bytes in decimal units with so many significant digits: ``1.98MB``."""
    return _scaled(size, 1000.0, _DECIMAL, digits)


def binary_size(size: float) -> str:
    """Bytes in binary units with four significant digits: ``23.54GiB``."""
    return _scaled(size, 1024.0, _BINARY, 4)


def _scaled(size: float, base: float, units: tuple[str, ...], digits: int) -> str:
    unit = 0
    while size >= base and unit < len(units) - 1:
        size /= base
        unit += 1
    return f"{size:.{digits}g}{units[unit]}"


def human_duration(seconds: float) -> str:
    """A duration in one rough unit: ``About an hour``, ``3 days``."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    # From here on hours are rounded to the nearest.
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{int(seconds / 3600) // 24 // 365} years"
