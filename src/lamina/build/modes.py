"""``--chmod``: an octal mode, or symbolic changes such as ``u=rwX,go=rX``."""

import re
from collections.abc import Callable
from typing import Final

from lamina.errors import InvalidParameter

_OCTAL: Final = re.compile(r"[0-7]{1,5}")
_CLAUSE: Final = re.compile(r"([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)")
_ACTION: Final = re.compile(r"([-+=])([rwxXst]*|[ugo])(?=[-+=]|$)")
_SHIFTS: Final = {"u": 6, "g": 3, "o": 0}
_SPECIAL: Final = {"u": 0o4000, "g": 0o2000, "o": 0o1000}
_BITS: Final = {"r": 4, "w": 2, "x": 1}

Chmod = Callable[[int, bool], int]
"""Makes a new mode of an old one; the second argument tells whether it is a directory's."""


def parse_mode(text: str) -> Chmod:
    """Read the value of the flag. Raises InvalidParameter."""
    if _OCTAL.fullmatch(text):
        value = int(text, 8)
        if value <= 0o7777:
            return lambda _mode, _is_directory: value
    clauses = [_CLAUSE.fullmatch(clause) for clause in text.split(",")]
    if not all(clauses):
        raise InvalidParameter(
            f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"
        )
    parsed = [(match[1] or "a", match[2]) for match in clauses if match]

    def change(mode: int, is_directory: bool) -> int:  # noqa: FBT001 (as `Chmod` has it)
        for who, actions in parsed:
            for sign, permissions in _ACTION.findall(actions):
                mode = _changed(mode, who, sign, permissions, is_directory=is_directory)
        return mode

    return change


def _changed(mode: int, who: str, sign: str, permissions: str, *, is_directory: bool) -> int:
    whose = "ugo" if "a" in who else who
    bits = mode >> _SHIFTS[permissions] & 7 if permissions in _SHIFTS else 0
    for permission in permissions:
        if permission == "X":
            bits |= 1 if is_directory or mode & 0o111 else 0
        bits |= _BITS.get(permission, 0)
    wanted = sum(bits << _SHIFTS[one] for one in set(whose))
    mask = sum(7 << _SHIFTS[one] for one in set(whose))
    special = sum(_SPECIAL[one] for one in set(whose))
    if "s" in permissions:
        wanted |= special & 0o6000
    if "t" in permissions:
        wanted |= special & 0o1000
    if sign == "+":
        return mode | wanted
    if sign == "-":
        return mode & ~wanted
    return (mode & ~(mask | special)) | wanted
