"""The habits of Go's string handling which a Dockerfile's author can see.

Every engine's Dockerfile code is written in Go: what counts as a space or a letter, how a duration
is written, how a text is quoted in a message and a path shortened are part of the language.
"""

import posixpath
import re
from typing import Final

from lamina.dockerfile.source import DockerfileError

SPACES: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""Unicode's white space; Python's `str.isspace` also takes the separators U+001C to U+001F."""

_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6}
_UNITS |= {"s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]*)")
_MAX_DURATION = (1 << 63) - 1


def quote(text: str) -> str:
    """`text` as Go's ``%q`` shows it."""
    return '"' + "".join(_quoted(char) for char in text) + '"'


def quote_all(texts: tuple[str, ...] | list[str]) -> str:
    """A list of texts as Go's ``%q`` shows a slice: ``["a" "b"]``."""
    return "[" + " ".join(quote(text) for text in texts) + "]"


def _quoted(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quote_rune(code: int) -> str:
    """A number as Go's ``%q`` shows it: the character of that number in single quotes."""
    char = chr(code) if 0 <= code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
    if char == "'":
        return "'\\''"
    return "'" + (char if char == '"' else _quoted(char)) + "'"


def show_duration(nanoseconds: int) -> str:
    """A duration as Go prints it: ``1m30s``, ``1.5s``, ``0s``."""
    sign, left = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if left < 10**9:
        for unit, size in (("ms", 10**6), ("µs", 10**3), ("ns", 1)):
            if left >= size:
                return f"{sign}{_decimal(left, size)}{unit}"
        return "0s"
    minutes, rest = divmod(left, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{text}{_decimal(rest, 10**9)}s"


def _decimal(value: int, size: int) -> str:
    """`value` in units of `size`, a power of ten, with no zero too many."""
    whole, fraction = divmod(value, size)
    digits = f"{fraction:0{len(str(size)) - 1}d}" if size > 1 else ""
    return f"{whole}.{digits}".rstrip("0").rstrip(".") if fraction else str(whole)


def parse_duration(text: str) -> int:
    """Nanoseconds of a duration such as ``1m30s`` or ``-.5h``, as Go's `time.ParseDuration`.

    Raises DockerfileError with Go's words.
    """
    invalid = DockerfileError(f"time: invalid duration {quote(text)}")
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    if not rest:
        raise invalid
    total = 0
    while rest:
        part = _PART.match(rest)
        assert part is not None  # Every piece of the pattern is optional.
        whole, fraction, unit = part.group(1), part.group(2), part.group(3)
        if len(whole) > 19 or not (whole or fraction):
            raise invalid
        if not unit:
            raise DockerfileError(f"time: missing unit in duration {quote(text)}")
        if unit not in _UNITS:
            unknown = f"time: unknown unit {quote(unit)} in duration {quote(text)}"
            raise DockerfileError(unknown)
        total += int(whole or "0") * _UNITS[unit]
        digits = (fraction or "")[:18]
        if digits:
            total += int(digits) * _UNITS[unit] // 10 ** len(digits)
        rest = rest[part.end() :]
    if total > _MAX_DURATION + (sign < 0):
        raise invalid
    return sign * total


def parse_int(text: str, *, bits: int) -> int:
    """A decimal number of `bits` bits, as Go's `strconv.ParseInt`; raises DockerfileError."""
    problem = "invalid syntax"
    if re.fullmatch(r"[+-]?[0-9]+", text):
        value = int(text) if len(text) <= 64 else 1 << bits
        if -(1 << (bits - 1)) <= value < 1 << (bits - 1):
            return value
        problem = "value out of range"
    raise DockerfileError(f"strconv.ParseInt: parsing {quote(text)}: {problem}")


def clean(path: str) -> str:
    """The shortest equal path, as Go's `filepath.Clean` gives it."""
    cleaned = posixpath.normpath(path)
    return "/" + cleaned.lstrip("/") if cleaned.startswith("//") else cleaned
