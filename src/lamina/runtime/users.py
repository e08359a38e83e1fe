"""Who a process is: the user and groups of an image, looked up in its own files.

The files belong to whoever made the image: they are read through descriptors that no link leads out
of the root filesystem, must be regular, and are read up to a size.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lamina.errors import InvalidParameter
from lamina.layers.directories import open_regular

__all__ = ["Identity", "identify"]

_MAX_FILE: Final = 8 << 20
_MAX_ID: Final = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Identity:
    """Numbers of a user and its groups."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


def identify(rootfs: Path, user: str, more_groups: Iterable[str] = ()) -> Identity:
    """Look up ``user[:group]`` as dockerd does; nothing is root, or who has ID 0.

    A number that no file knows is taken as it is; a user by name brings its supplementary groups.
    InvalidParameter, with dockerd's words.
    """
    name, _, group = user.partition(":")
    users = list(_lines(rootfs, "etc/passwd", 7))
    groups = list(_lines(rootfs, "etc/group", 4))
    entry = _find(users, name or "0")
    if entry is not None:
        uid, gid = int(entry[2]), int(entry[3])
    elif (number := _number(name or "0")) is not None:
        uid, gid = number, 0
    else:
        raise InvalidParameter(f"unable to find user {name}: no matching entries in passwd file")
    supplementary: tuple[int, ...] = ()
    if group:
        gid = _group(groups, group)
    elif entry is not None:
        member = entry[0]
        supplementary = tuple(int(line[2]) for line in groups if member in line[3].split(","))
    added = tuple(_group(groups, text) for text in more_groups)
    return Identity(
        uid=_checked(uid),
        gid=_checked(gid),
        groups=tuple(dict.fromkeys((*supplementary, *added))),
        home=(entry[5] if entry is not None else "") or "/",
    )


def _find(lines: list[list[str]], wanted: str) -> list[str] | None:
    """The line of a name, or else of a number."""
    for line in lines:
        if line[0] == wanted:
            return line
    return next((line for line in lines if line[2] == wanted), None)


def _group(groups: list[list[str]], wanted: str) -> int:
    entry = _find(groups, wanted)
    if entry is not None:
        return _checked(int(entry[2]))
    number = _number(wanted)
    if number is None:
        raise InvalidParameter(f"unable to find group {wanted}: no matching entries in group file")
    return _checked(number)


def _number(text: str) -> int | None:
    """As Go reads a number, of 64 bits."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else -1
    return number if 0 <= number < 1 << 63 else None


def _checked(number: int) -> int:
    if not 0 <= number <= _MAX_ID:
        raise InvalidParameter("uids and gids must be in range 0-2147483647")
    return number


def _lines(rootfs: Path, path: str, columns: int) -> Iterator[list[str]]:
    """The lines of a file whose third column, and for users the fourth, is a number."""
    for line in _read(rootfs, path).decode("utf-8", "replace").splitlines():
        parts = line.strip().split(":")
        parts += [""] * (columns - len(parts))
        numbers = parts[2:4] if columns == 7 else parts[2:3]
        if parts[0] and all(_number(text) is not None for text in numbers):
            yield parts


def _read(rootfs: Path, path: str) -> bytes:
    root = os.open(rootfs, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with os.fdopen(open_regular(root, path), "rb") as file:
            return file.read(_MAX_FILE)
    except OSError:
        return b""
    finally:
        os.close(root)
