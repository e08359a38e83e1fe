"""Owners, modes and devices of files where they cannot be set: recorded beside the file.

Who is not root can neither give files away nor make devices. What a layer says is then kept in the
extended attribute ``user.containers.override_stat`` of the file, as containers/storage and
fuse-overlayfs have it: ``uid:gid:0mode:type``, the mode in octal, the type one of ``file``,
``dir``, ``pipe``, ``block-MAJOR-MINOR``, ``char-MAJOR-MINOR``. A device is an empty regular file
with such a record. Symbolic links and FIFOs cannot have the attribute: their owners are forgotten.
"""

import stat
from enum import Enum
from typing import Final

import msgspec

__all__ = ["RECORD", "Ownership", "Recorded"]

RECORD: Final = "user.containers.override_stat"
"""The extended attribute."""

_NAMES: Final = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFIFO: "pipe",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}
_TYPES: Final = {name: type for type, name in _NAMES.items()}


class Ownership(Enum):
    """How the owner, the mode and the device of a layer's entry are kept on disk."""

    SET = "set"
    """As the file's own: needs root, perhaps that of a user namespace."""
    RECORDED = "recorded"
    """In `RECORD`. The file is the caller's, who may always read and write it."""


class Recorded(msgspec.Struct, frozen=True):
    """What a record says."""

    mode: int
    """Type and permissions, as in ``st_mode``."""
    uid: int
    gid: int
    major: int = 0
    minor: int = 0

    @classmethod
    def parse(cls, raw: bytes) -> "Recorded":
        """Parse a record; one without a type is a regular file's. Raises ValueError."""
        uid, gid, mode, *rest = raw.decode("ascii").split(":")
        name, *device = rest[0].split("-") if rest else ["file"]
        if name not in _TYPES or len(device) != (2 if name in {"char", "block"} else 0):
            raise ValueError(f"unknown type in the record {raw!r}")
        major, minor = (int(part) for part in device) if device else (0, 0)
        return cls(_TYPES[name] | stat.S_IMODE(int(mode, 8)), int(uid), int(gid), major, minor)

    def format(self) -> bytes:
        """Return the record's text."""
        name = _NAMES[stat.S_IFMT(self.mode)]
        if name in {"char", "block"}:
            name = f"{name}-{self.major}-{self.minor}"
        return f"{self.uid}:{self.gid}:0{stat.S_IMODE(self.mode):o}:{name}".encode()
