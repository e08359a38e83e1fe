"""Hashes of what is copied, by which the cache knows it again: the classic builder's.

A file's is over what its tar header says, but for times, and over its content (``tarsum.v1``); a
directory's is over the sorted ones of all that is below it.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping

from lamina.layers.index import IndexEntry
from lamina.layers.tarheader import EntryType
from lamina.layers.view import Found

Read = Callable[[Found], Iterator[bytes]]
"""The content of a file."""


def file_hash(path: str, found: Found, read: Read) -> str:
    """The hash of one file; `path` is the name that counts."""
    entry = found.entry
    hasher = hashlib.sha256(_header(path, entry))
    if entry.type is EntryType.REGULAR or entry.type is EntryType.HARD_LINK:
        for piece in read(found):
            hasher.update(piece)
    return hasher.hexdigest()


class FileHashes:
    """Hashes the files of a tar while it is indexed: an `EntryReader`."""

    def __init__(self) -> None:
        self._found: dict[str, str] = {}
        self._path = ""
        self._hasher = hashlib.sha256()

    @property
    def found(self) -> Mapping[str, str]:
        """The hashes by path. Those of sparse files and of hard links are not `file_hash`'s."""
        return self._found

    def begin(self, entry: IndexEntry) -> None:
        """A file begins."""
        self._path = entry.path
        self._hasher = hashlib.sha256(_header(entry.path, entry))

    def feed(self, data: memoryview) -> None:
        """More of its content."""
        self._hasher.update(data)

    def end(self) -> None:
        """It ends here; of several files of one path the last counts."""
        self._found[self._path] = self._hasher.hexdigest()


def joined_hash(kind: str, hashes: Iterable[str]) -> str:
    """One for several: ``dir:…`` or ``multi:…``."""
    return f"{kind}:{hashlib.sha256(','.join(hashes).encode()).hexdigest()}"


def _header(path: str, entry: IndexEntry) -> bytes:
    is_directory = entry.type is EntryType.DIRECTORY
    is_link = entry.type is EntryType.HARD_LINK
    fields = [
        f"name{path}{'/' if is_directory else ''}",
        f"mode{entry.mode}",
        f"uid{entry.uid}",
        f"gid{entry.gid}",
        # A hard link has the size and the content of what it is a link to only here.
        f"size{0 if is_link else entry.size}",
        f"typeflag{chr(entry.type)}",
        f"linkname{entry.link}",
        "unamegname",
        f"devmajor{entry.major}devminor{entry.minor}",
    ]
    text = "".join(fields).encode("utf-8", "surrogateescape")
    attributes = sorted(entry.xattrs.items())
    return text + b"".join(
        name.encode("utf-8", "surrogateescape") + value for name, value in attributes
    )
