"""Text of strangers for a terminal: who made an image, or runs a registry, may not steer it.

Control characters are spelled out, and so are those which turn the direction of what follows, by
which a line could be read as another than it is. Where JSON is wanted they are JSON's own escapes.
"""

import re
from typing import Final

__all__ = ["in_json", "one_line", "plain", "written"]

_CONTROLS: Final = (*range(0x20), *range(0x7F, 0xA0))
_DIRECTIONS: Final = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_SEPARATORS: Final = (0x2028, 0x2029)
_WIDE: Final = {code: f"\\u{code:04x}" for code in (*_DIRECTIONS, *_SEPARATORS)}
_ESCAPES: Final = _WIDE | {code: f"\\x{code:02x}" for code in _CONTROLS}
_IN_JSON: Final = _WIDE | {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}
_WITHIN_LINES: Final = {code: text for code, text in _ESCAPES.items() if code not in (0x09, 0x0A)}
_COLOURS: Final = re.compile(r"\x1b\[[0-9;:]*m")


def plain(text: str) -> str:
    """`text` with its control characters spelled out, but for tabs and line ends."""
    return text.translate(_WITHIN_LINES)


def one_line(text: str) -> str:
    """`text` with all its control characters spelled out."""
    return text.translate(_ESCAPES)


def written(text: str) -> str:
    """What a command of a build wrote, as `plain`, without its colours.

    Where it went back to the beginning of a line, to write it anew, is a line end.
    """
    text = _COLOURS.sub("", text)
    return plain(text.replace("\r\n", "\n").replace("\r", "\n"))


def in_json(text: str) -> str:
    """JSON that means the same, with JSON's escapes for those characters that it lets stand."""
    return text.translate(_IN_JSON)
