"""Text of strangers for a terminal: who made an image, or runs a registry, may not steer it."""

from typing import Final

__all__ = ["one_line", "plain"]

_ESCAPES: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
_WITHIN_LINES: Final = {code: text for code, text in _ESCAPES.items() if code not in (0x09, 0x0A)}


def plain(text: str) -> str:
    """`text` with its control characters spelled out, but for tabs and line ends."""
    return text.translate(_WITHIN_LINES)


def one_line(text: str) -> str:
    """`text` with all its control characters spelled out."""
    return text.translate(_ESCAPES)
