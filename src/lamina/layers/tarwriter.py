"""Writing tar: headers as bytes, the same for the same arguments.

A header is ustar where everything fits; what does not fit (long names, big numbers, other than
whole seconds, extended attributes, texts that are not ASCII) goes into PAX records before it, as
Go and POSIX do it. Every tar of the last twenty years reads both.

An entry is `header_bytes(…)`, the data, `padding(size)`; an archive is its entries and `END`.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from lamina.layers.tarheader import BLOCK, NO_XATTRS, EntryType

__all__ = ["END", "archive_size", "header_bytes", "padding"]

END: Final = bytes(2 * BLOCK)
"""What an archive ends with."""

_LINKS: Final = frozenset((EntryType.HARD_LINK, EntryType.SYMLINK))
_DEVICES: Final = frozenset((EntryType.CHARACTER_DEVICE, EntryType.BLOCK_DEVICE))
_WRITABLE: Final = frozenset(EntryType) - {
    EntryType.CONTIGUOUS,
    EntryType.GNU_SPARSE,
    EntryType.PAX_GLOBAL,
}


def header_bytes(
    name: str,
    *,
    type: EntryType = EntryType.REGULAR,
    size: int = 0,
    mode: int = 0o644,
    mtime_ns: int = 0,
    uid: int = 0,
    gid: int = 0,
    user: str = "",
    group: str = "",
    link: str = "",
    major: int = 0,
    minor: int = 0,
    xattrs: Mapping[str, bytes] = NO_XATTRS,
) -> bytes:
    """Return the header blocks of an entry: one, or more if it needs PAX records.

    `name` is written as it is, with a slash at its end if a directory's has none. Texts may hold
    undecodable bytes as surrogates. Times are nanoseconds since the epoch. Raises ValueError for
    what no tar can say: an empty or NUL-ridden text, a size where there is no data, numbers below
    zero (times may be) or over 63 bits, a type that is never written.
    """
    if type not in _WRITABLE:
        raise ValueError(f"no entry of type {type!r} is written")
    if type is EntryType.DIRECTORY:
        name = f"{name.rstrip('/')}/" if name else name
    elif name.endswith("/"):
        raise ValueError("only a directory's entry ends in a slash")
    if not name or (type in _LINKS) != bool(link) or (size and type is not EntryType.REGULAR):
        raise ValueError("an entry needs a name, links a target, and only files have a size")
    if any("\0" in text for text in (name, link, user, group)):
        raise ValueError("NUL in a text of a tar header")
    for amount in (size, mode, uid, gid, major, minor):
        if not 0 <= amount < 1 << 63:
            raise ValueError(f"{amount} does not fit into a tar header")
    seconds, fraction = divmod(mtime_ns, 1_000_000_000)
    records: dict[str, bytes] = {}
    short_name, prefix = _fitted_name(name, records)
    block = _block(
        name=short_name,
        prefix=prefix,
        mode=mode & 0o7777777,
        uid=_fitted_number("uid", uid, 7, records),
        gid=_fitted_number("gid", gid, 7, records),
        size=_fitted_number("size", size, 11, records),
        mtime=_fitted_time(seconds, fraction, records),
        type=type,
        link=_fitted_text("linkpath", link, 100, records),
        user=_fitted_text("uname", user, 31, records),
        group=_fitted_text("gname", group, 31, records),
        devices=(major, minor) if type in _DEVICES else (0, 0),
    )
    for key, value in xattrs.items():
        if not key or "=" in key or "\0" in key:
            raise ValueError(f"{key!r} is no name of an extended attribute")
        records[f"SCHILY.xattr.{key}"] = value
    return _extension(name, records) + block if records else block


def padding(size: int) -> bytes:
    """Return the zeros that follow `size` bytes of data."""
    return bytes(-size % BLOCK)


def archive_size(entries: Iterable[tuple[bytes, int]]) -> int:
    """Return the bytes of an archive whose entries are given as (header, size of the data)."""
    return len(END) + sum(len(header) + size + -size % BLOCK for header, size in entries)


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _fitted_name(name: str, records: dict[str, bytes]) -> tuple[bytes, bytes]:
    """Return name and prefix as ustar splits them, or a record and what can be shown of it."""
    raw = _raw(name)
    if raw.isascii():
        if len(raw) <= 100:
            return raw, b""
        # The split is at a slash, which is not written, and never leaves the name empty.
        at = raw.rfind(b"/", 0, 156)
        if at > 0 and 0 < len(raw) - at - 1 <= 100:
            return raw[at + 1 :], raw[:at]
    records["path"] = raw
    return _shown(raw, 100), b""


def _fitted_text(key: str, text: str, width: int, records: dict[str, bytes]) -> bytes:
    raw = _raw(text)
    if raw.isascii() and len(raw) <= width:
        return raw
    records[key] = raw
    return _shown(raw, width)


def _shown(raw: bytes, width: int) -> bytes:
    """Return the part of a text that old readers get to see: ASCII, cut, no slash at the end."""
    return bytes(byte for byte in raw if byte < 0x80)[:width].rstrip(b"/")


def _fitted_number(key: str, value: int, digits: int, records: dict[str, bytes]) -> int:
    if value < 8**digits:
        return value
    records[key] = b"%d" % value
    return 0


def _fitted_time(seconds: int, fraction: int, records: dict[str, bytes]) -> int:
    if not fraction and 0 <= seconds < 8**11:
        return seconds
    sign, whole, part = "", seconds, fraction
    if seconds < 0 and fraction:
        # -0.25 is kept as -1 second and 0.75: the record counts both parts down from zero.
        sign, whole, part = "-", -seconds - 1, 1_000_000_000 - fraction
    decimals = f".{part:09d}".rstrip("0") if part else ""
    records["mtime"] = f"{sign}{whole}{decimals}".encode()
    return min(max(seconds, 0), 8**11 - 1)


def _block(
    *,
    name: bytes,
    prefix: bytes,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    mtime: int,
    type: int,
    link: bytes,
    user: bytes,
    group: bytes,
    devices: tuple[int, int],
) -> bytes:
    major, minor = devices
    if max(devices) >= 8**7:
        raise ValueError("device number does not fit into a tar header")
    before = b"%s%07o\0%07o\0%07o\0%011o\0%011o\0" % (
        name.ljust(100, b"\0"),
        mode,
        uid,
        gid,
        size,
        mtime,
    )
    after = b"%c%sustar\00000%s%s%07o\0%07o\0%s" % (
        type,
        link.ljust(100, b"\0"),
        user.ljust(32, b"\0"),
        group.ljust(32, b"\0"),
        major,
        minor,
        prefix.ljust(155, b"\0") + bytes(12),
    )
    # The checksum is summed with blanks in its own place.
    return b"%s%06o\0 %s" % (before, sum(before) + sum(after) + 8 * 0x20, after)


def _extension(name: str, records: dict[str, bytes]) -> bytes:
    """Return a PAX header, its sorted records, and their padding."""
    data = b"".join(_record(_raw(key), records[key]) for key in sorted(records))
    above, _, base = name.rstrip("/").rpartition("/")
    shown = _shown(_raw(f"{above}/PaxHeaders.0/{base}" if above else f"PaxHeaders.0/{base}"), 100)
    header = _block(
        name=shown,
        prefix=b"",
        mode=0o644,
        uid=0,
        gid=0,
        size=len(data),
        mtime=0,
        type=ord("x"),
        link=b"",
        user=b"",
        group=b"",
        devices=(0, 0),
    )
    return header + data + padding(len(data))


def _record(key: bytes, value: bytes) -> bytes:
    """Return a record; its length counts the digits of the length itself."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)
