"""``--chown``: names and numbers of users and groups, looked up in the image's own files."""

import re
from collections.abc import Callable
from typing import Final

from lamina.errors import LaminaError

_NUMBER: Final = re.compile(r"[0-9]{1,10}")
_LARGEST: Final = (1 << 31) - 1

Lookup = Callable[[str], str]
"""The text of a file of the image, empty if it is not there."""


def parse_owner(text: str, look_up: Lookup) -> tuple[int, int]:
    """User and group ID of ``user[:group]``; without a group it is named as the user is.

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


def _id(name: str, path: str, id_name: str, kind: str, look_up: Lookup) -> int:
    if _NUMBER.fullmatch(name) and int(name) <= _LARGEST:
        return int(name)
    for line in look_up(path).splitlines():
        fields = line.split(":")
        if len(fields) > 2 and fields[0] == name and _NUMBER.fullmatch(fields[2]):
            return int(fields[2])
    raise LaminaError(
        "unable to convert uid/gid chown string to host mapping:"
        f" can't find {id_name} for {kind} {name}: no such {kind}: {name}"
    )
