"""Tar archives that no tar program writes, block by block."""

import tarfile
from collections.abc import Iterator

BLOCK = 512
END = bytes(2 * BLOCK)


def octal(value: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, value)


def base256(value: int, width: int) -> bytes:
    """GNU's binary numbers, which alone can be negative or huge."""
    encoded = bytearray(value.to_bytes(width, "big", signed=True))
    encoded[0] |= 0x80
    return bytes(encoded)


def header(
    name: bytes,
    size: bytes | int = 0,
    *,
    kind: bytes = tarfile.REGTYPE,
    link: bytes = b"",
    checksum: int | None = None,
    magic: bytes = b"ustar\x0000",
) -> bytes:
    """One header block; a `size` of bytes stands as it is, and so does `checksum`."""
    block = bytearray(BLOCK)
    block[0:100] = name[:100].ljust(100, b"\0")
    block[100:108], block[108:116], block[116:124] = octal(0o644, 8), octal(0, 8), octal(0, 8)
    block[124:136] = size if isinstance(size, bytes) else octal(size, 12)
    block[136:148] = octal(1_700_000_000, 12)
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[157:257] = link[:100].ljust(100, b"\0")
    block[257:265] = magic
    total = sum(block) if checksum is None else checksum
    block[148:156] = b"%06o\0 " % total
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def member(name: bytes, data: bytes = b"", *, kind: bytes = b"0", link: bytes = b"") -> bytes:
    return header(name, len(data), kind=kind, link=link) + padded(data)


def endless(name: bytes, size: int, piece: bytes, *, kind: bytes = b"0") -> Iterator[bytes]:
    """A member that promises `size` bytes and gives `piece` again and again."""
    yield header(name, base256(size, 12), kind=kind)
    sent = 0
    while sent < size:
        yield piece
        sent += len(piece)


def pax(records: bytes, *, kind: bytes = b"x") -> bytes:
    """A PAX header with records as they stand."""
    return member(b"PaxHeaders/x", records, kind=kind)


def record(key: bytes, value: bytes) -> bytes:
    """A well-formed PAX record."""
    length = len(key) + len(value) + 3
    while len(b"%d" % length) + len(key) + len(value) + 3 != length:
        length += 1
    return b"%d %s=%s\n" % (length, key, value)
