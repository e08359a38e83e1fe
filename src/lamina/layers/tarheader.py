"""The 512-byte header blocks of a tar stream, and the records that extend them.

This is the pure half of reading tar: bytes in, values out. It follows Go's ``archive/tar``, since
that is what every other container engine reads layers with: POSIX ustar, PAX (POSIX.1-2001), GNU
and the old V7 form. `lamina.layers.tarstream` drives it over a stream.

Numbers and texts that break the format raise ValueError here; the stream's reader turns it into
its own error, because only that knows what the archive is.
"""

import stat
from collections.abc import Mapping
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from zlib import adler32

import msgspec

__all__ = [
    "BLOCK",
    "NO_XATTRS",
    "TYPES_OF_FILES",
    "ZERO_BLOCK",
    "EntryType",
    "Owner",
    "TarHeader",
    "Trailer",
    "checksum_holds",
    "clean_path",
    "nanoseconds",
    "number",
    "owner",
    "pax_number",
    "pax_records",
    "text",
    "trailer",
]

BLOCK: Final = 512
ZERO_BLOCK: Final = bytes(BLOCK)
_INT64_MAX: Final = 2**63 - 1
NO_XATTRS: Final[Mapping[str, bytes]] = MappingProxyType({})


class EntryType(IntEnum):
    """The type flag of an entry: the byte at offset 156, which for most types is an ASCII digit."""

    REGULAR = ord("0")
    HARD_LINK = ord("1")
    SYMLINK = ord("2")
    CHARACTER_DEVICE = ord("3")
    BLOCK_DEVICE = ord("4")
    DIRECTORY = ord("5")
    FIFO = ord("6")
    CONTIGUOUS = ord("7")
    GNU_SPARSE = ord("S")
    PAX_GLOBAL = ord("g")


TYPES_OF_FILES: Final = {
    stat.S_IFREG: EntryType.REGULAR,
    stat.S_IFDIR: EntryType.DIRECTORY,
    stat.S_IFLNK: EntryType.SYMLINK,
    stat.S_IFCHR: EntryType.CHARACTER_DEVICE,
    stat.S_IFBLK: EntryType.BLOCK_DEVICE,
    stat.S_IFIFO: EntryType.FIFO,
}
"""The entries of files by their format (`stat.S_IFMT`); a socket has none."""


class TarHeader(msgspec.Struct, frozen=True, gc=False):
    """One entry of a tar stream, with its extension records already applied.

    Texts hold undecodable bytes as surrogates (PEP 383). Offsets are in bytes from the beginning
    of the (uncompressed) tar stream.
    """

    path: str
    """Cleaned and relative to the root of the archive: ``usr/bin/sh``; empty for the root."""
    type: int
    """An `EntryType`, or the byte that stands there if it is none; V7's NUL is told apart."""
    size: int
    """What the entry's content has when it is unpacked; more than `stored` if it is sparse."""
    link: str
    """A symbolic link's target as written; a hard link's target cleaned as `path` is."""
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    """Nanoseconds since the epoch."""
    user: str
    group: str
    major: int
    minor: int
    xattrs: Mapping[str, bytes]
    """Extended attributes, without the prefix ``SCHILY.xattr.``."""
    sparse: bool
    """The stored data is a sparse map and fragments, not the plain content."""
    start: int
    """Offset of the first header block of the entry, its extension headers included."""
    offset: int
    """Offset of its data."""
    stored: int
    """Bytes of data in the stream, without the padding."""
    fragments: tuple[tuple[int, int], ...] | None = None
    """Offset and length in the content of each stored piece of a sparse entry, unchecked.

    None if the entry is not sparse, or its data begins with the map (PAX form 1.0).
    """


class Owner(msgspec.Struct, frozen=True, gc=False):
    """What stands in the block's three numbers behind the name."""

    mode: int
    uid: int
    gid: int


class Trailer(msgspec.Struct, frozen=True, gc=False):
    """What stands in the block behind the link name, and the format that the magic tells."""

    ustar: bool
    """POSIX: the rest of the block holds a prefix of the name."""
    gnu: bool
    star: bool
    user: str
    group: str
    major: int
    minor: int


def text(raw: bytes) -> str:
    """Return the text of a field up to its first NUL."""
    end = raw.find(0)
    return (raw if end < 0 else raw[:end]).decode("utf-8", "surrogateescape")


# The numbers of a layer repeat: a few owners, modes and times. Looking a field up costs a fifth of
# parsing it. The caches are small and bounded, because the fields come from strangers.
@lru_cache(maxsize=4096)
def number(field: bytes) -> int:
    """Parse a numeric field: octal digits between blanks and NULs, or GNU's base 256.

    Raises ValueError if it is neither, or does not fit into a signed 64-bit integer.
    """
    if field[0] & 0x80:
        # The sign bit is the second one; the first only marks the encoding.
        value = int.from_bytes(field, "big", signed=False) & ((1 << (len(field) * 8 - 1)) - 1)
        if field[0] & 0x40:
            value -= 1 << (len(field) * 8 - 1)
        if not -_INT64_MAX - 1 <= value <= _INT64_MAX:
            raise ValueError("number out of range")
        return value
    digits = field.strip(b" \0")
    end = digits.find(0)
    if end >= 0:
        digits = digits[:end]
    if not digits:
        return 0
    # int() alone takes signs, underscores and "0o", too.
    if not digits.isdigit():
        raise ValueError("not an octal number")
    return int(digits, 8)


@lru_cache(maxsize=1024)
def owner(fields: bytes) -> Owner:
    """Parse the 24 bytes of mode, user and group at offset 100. Raises ValueError."""
    return Owner(number(fields[:8]), number(fields[8:16]), number(fields[16:]))


@lru_cache(maxsize=1024)
def trailer(fields: bytes) -> Trailer:
    """Parse the 88 bytes from the magic to the device numbers at offset 257, and what follows.

    `fields` are those 88 bytes and the last 4 of the block. Raises ValueError.
    """
    magic = fields[:8]
    gnu = magic == b"ustar  \0"
    posix = magic[:6] == b"ustar\0"
    if not gnu and not posix:
        return Trailer(ustar=False, gnu=False, star=False, user="", group="", major=0, minor=0)
    star = posix and fields[88:92] == b"tar\0"
    return Trailer(
        ustar=posix and not star,
        gnu=gnu,
        star=star,
        user=text(fields[8:40]),
        group=text(fields[40:72]),
        major=number(fields[72:80]),
        minor=number(fields[80:88]),
    )


@lru_cache(maxsize=65536)
def _promised_sum(field: bytes) -> int:
    """Return the sum of all 512 bytes, this field as it stands, that the checksum field claims."""
    return number(field) + sum(field) - 8 * 0x20


def checksum_holds(block: bytes) -> bool:
    """Tell whether the checksum of a header block is right, summed unsigned or, as once, signed.

    The low half of Adler-32 is one plus the sum of the bytes, modulo 65521: exact for 256 bytes,
    and more than ten times as fast as `sum`.
    """
    total = (adler32(block[:256]) & 0xFFFF) + (adler32(block[256:]) & 0xFFFF) - 2
    promised = _promised_sum(block[148:156])
    if total == promised:
        return True
    field = block[148:156]
    signed = (sum(block) - sum(field)) - 256 * (
        sum(byte >> 7 for byte in block) - sum(byte >> 7 for byte in field)
    )
    return signed + 8 * 0x20 == number(field)


def clean_path(name: str) -> str | None:
    """Return `name` relative to the archive's root, without empty, ``.`` and ``..`` steps.

    The root itself is the empty string; None stands for a name that leads out of the root.
    """
    name = name.removeprefix("./").rstrip("/")
    if name[:1] not in _SUSPECT and "/." not in name and "//" not in name:
        return name
    steps: list[str] = []
    for step in name.split("/"):
        if step == "..":
            if not steps:
                return None
            steps.pop()
        elif step not in {"", "."}:
            steps.append(step)
    return "/".join(steps)


_SUSPECT: Final = frozenset(("", ".", "/"))


def pax_records(raw: bytes) -> dict[str, bytes]:
    """Parse the records of an extended header: length, blank, key, ``=``, value, newline.

    Of several records of one key the last wins. The map of GNU's oldest sparse form, whose keys
    repeat, is put together as the next form has it, under ``GNU.sparse.map``.
    Raises ValueError.
    """
    records: dict[str, bytes] = {}
    sparse: list[bytes] = []
    at = 0
    while at < len(raw):
        space = raw.find(b" ", at, at + 8)
        if space < 0 or not raw[at:space].isdigit():
            raise ValueError("extended header record without length")
        end = at + int(raw[at:space])
        equals = raw.find(b"=", space + 1, end)
        if end > len(raw) or equals <= space + 1 or raw[end - 1] != 0x0A:
            raise ValueError("broken extended header record")
        key, value = raw[space + 1 : equals], raw[equals + 1 : end - 1]
        if 0 in (value if key in _TEXT_KEYS else key):
            raise ValueError("NUL in an extended header record")
        if key in _SPARSE_KEYS:
            if (len(sparse) % 2 == 1) != (key == b"GNU.sparse.numbytes") or b"," in value:
                raise ValueError("broken map of a sparse file")
            sparse.append(value)
        records[key.decode("utf-8", "surrogateescape")] = value
        at = end
    if sparse:
        records["GNU.sparse.map"] = b",".join(sparse)
    return records


_SPARSE_KEYS: Final = frozenset((b"GNU.sparse.offset", b"GNU.sparse.numbytes"))
_TEXT_KEYS: Final = frozenset((b"path", b"linkpath", b"uname", b"gname"))


def pax_number(value: bytes) -> int:
    """Parse a decimal integer of an extended header. Raises ValueError."""
    digits = value[1:] if value[:1] == b"-" else value
    if not digits.isdigit() or len(digits) > 19 or int(digits) > _INT64_MAX:
        raise ValueError("not a decimal number")
    return -int(digits) if value[:1] == b"-" else int(digits)


def nanoseconds(value: bytes) -> int:
    """Parse a time of an extended header, seconds with a fraction, cut at nanoseconds.

    Raises ValueError.
    """
    whole, _, fraction = value.partition(b".")
    if fraction and not fraction.isdigit():
        raise ValueError("not a time")
    seconds = pax_number(whole) * 1_000_000_000
    part = int(fraction[:9].ljust(9, b"0"))
    return seconds - part if whole[:1] == b"-" else seconds + part
