"""``--chown``: names and numbers of users and groups, looked up in the image's own files."""

import re
from collections.abc import Callable
from typing import Final

from lamina.errors import LaminaError

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,1000}", re.ASCII)
_LARGEST: Final = (1 << 63) - 1
_ID_BITS: Final = (1 << 32) - 1
"""What the kernel takes of a number; all of them set, it changes nothing."""

Owner = tuple[int | None, int | None]
"""User and group ID; None leaves the one that there is."""

Lookup = Callable[[str], str]
"""The text of a file of the image, empty if it is not there."""


def parse_owner(text: str, look_up: Lookup) -> Owner:
    """User and group ID of ``user[:group]``; without a group it is named as the user is.

    Any number counts that Go's ``strconv.Atoi`` takes, so that ``-1`` is no change.

    Raises LaminaError, in dockerd's words, for names that the image does not know.
    """
    user, colon, group = text.partition(":")
    if ":" in group:
        raise LaminaError(
            f"unable to convert uid/gid chown string to host mapping: invalid chown string format:"
            f" {text}"
        )
    if not colon:
        group = user
    uid = _id(user, "etc/passwd", "uid", "user", look_up)
    return uid, _id(group, "etc/group", "gid", "group", look_up)


def _id(name: str, path: str, id_name: str, kind: str, look_up: Lookup) -> int | None:
    if _NUMBER.fullmatch(name) and -_LARGEST - 1 <= int(name) <= _LARGEST:
        return _known(int(name))
    for line in look_up(path).split("\n"):
        fields = line.strip().split(":")
        if fields == [""] or (kind == "group" and fields[0].startswith("#")):
            continue
        if fields[0] == name:
            return _known(_lenient(fields[2]) if len(fields) > 2 else 0)
    raise LaminaError(
        "unable to convert uid/gid chown string to host mapping:"
        f" can't find {id_name} for {kind} {name}: no such {kind}: {name}"
    )


def _lenient(text: str) -> int:
    """A number of a file of users: 0 for what is none, the largest for one too large."""
    if not _NUMBER.fullmatch(text):
        return 0
    return max(-_LARGEST - 1, min(int(text), _LARGEST))


def _known(number: int) -> int | None:
    number &= _ID_BITS
    return None if number == _ID_BITS else number
