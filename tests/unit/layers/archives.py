"""Archives to read: made by Python's tarfile, which shares no code with what is tested."""

import io
import tarfile
from collections.abc import Iterable

FILE, LINK, SYMLINK = tarfile.REGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE
DIRECTORY, FIFO = tarfile.DIRTYPE, tarfile.FIFOTYPE

Entry = tuple[str, bytes, bytes | str]
"""Name, type, and the content or the target."""


def member(name: str, type: bytes, content: bytes | str = b"") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type = type
    if isinstance(content, str):
        info.linkname = content
        return info, b""
    info.size = len(content)
    return info, content


def archive(entries: Iterable[Entry], format: int = tarfile.PAX_FORMAT) -> bytes:
    return archive_of((member(*entry) for entry in entries), format)


def archive_of(
    members: Iterable[tuple[tarfile.TarInfo, bytes]], format: int = tarfile.PAX_FORMAT
) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def patched(raw: bytes, at: int, field: bytes) -> bytes:
    """Overwrite a field of the first header and make its checksum right again."""
    block = bytearray(raw[:512])
    block[at : at + len(field)] = field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + raw[512:]


def cut(raw: bytes, size: int) -> list[bytes]:
    return [raw[at : at + size] for at in range(0, len(raw), size)]
