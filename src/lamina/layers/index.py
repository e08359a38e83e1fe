"""The index of a layer: what stands in it and where, so that nobody has to unpack it to know.

It is computed once per diff ID and kept. The encoded form is columns in MessagePack: the texts of
all entries joined by NUL (which no path can hold), numbers in lists, rare things in maps.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol

import msgspec
from msgspec import structs

from lamina.errors import CorruptData
from lamina.layers.footprint import Footprint, FootprintLimits, is_whiteout, unpack_error
from lamina.layers.implied import ImpliedDirectories
from lamina.layers.placing import Placing
from lamina.layers.tarheader import NO_XATTRS, EntryType, TarHeader
from lamina.layers.tarstream import TarScanner

__all__ = [
    "MAX_ENCODED",
    "OPAQUE_MARKER",
    "EntryReader",
    "IndexBuilder",
    "IndexEntry",
    "LayerIndex",
]

OPAQUE_MARKER: Final = ".wh..wh..opq"
"""The file that says: nothing of lower layers is to be seen in its directory."""

MAX_ENCODED: Final = 1 << 30
"""Bytes of an encoded index."""

_MAX_XATTRS: Final = 64 << 20  # bytes in one layer
_VERSION: Final = 1
_INT64: Final = range(-(2**63), 2**63)


class IndexEntry(msgspec.Struct, frozen=True, gc=False):
    """One path of a layer. Texts hold undecodable bytes as surrogates (PEP 383)."""

    path: str
    """Relative to the root of the layer: ``usr/bin/sh``; empty for the root itself."""
    type: EntryType
    mode: int
    uid: int
    gid: int
    size: int
    """Bytes of content; a hard link has its target's."""
    mtime_ns: int
    link: str
    """A symbolic link's target as written; the path a hard link was made to."""
    offset: int
    """Where the data begins in the uncompressed tar stream; a hard link has its target's."""
    stored: int
    """Bytes of data in the stream; other than `size` only if `sparse`."""
    sparse: bool
    """The data is a sparse map and fragments, not the plain content."""
    major: int
    minor: int
    xattrs: Mapping[str, bytes]


class _Encoded(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The stored form; the columns have one item per entry."""

    version: int
    unpacked_size: int
    whiteouts: bytes
    opaques: bytes
    paths: bytes
    links: bytes
    types: bytes
    modes: list[int]
    uids: list[int]
    gids: list[int]
    sizes: list[int]
    mtimes: list[int]
    offsets: list[int]
    sparse: dict[int, int]
    """Entry number to `stored`."""
    devices: dict[int, tuple[int, int]]
    xattrs: dict[int, dict[bytes, bytes]]


class LayerIndex:
    """The paths a layer leaves behind when it is unpacked, and those it removes; immutable."""

    def __init__(
        self,
        entries: Sequence[IndexEntry],
        *,
        whiteouts: Iterable[str] = (),
        opaques: Iterable[str] = (),
        unpacked_size: int = 0,
    ) -> None:
        self.entries: Final = tuple(entries)
        """In the order of the stream, whiteouts left out; of one path only the last entry."""
        self.whiteouts: Final = frozenset(whiteouts)
        """Paths of lower layers that this layer removes."""
        self.opaques: Final = frozenset(opaques)
        """Directories that hide what lower layers have in them; empty text for the root."""
        self.unpacked_size: Final = unpacked_size
        """Bytes a dockerd shows as the layer's size (`Footprint` has the rule)."""
        self._by_path: Final = {entry.path: entry for entry in self.entries}
        self._children: dict[str, list[str]] | None = None

    @classmethod
    def build(
        cls, chunks: Iterable[bytes | memoryview], *, limits: FootprintLimits | None = None
    ) -> "LayerIndex":
        """Index the uncompressed tar stream that `chunks` are. Raises InvalidLayer."""
        builder = IndexBuilder(limits=limits)
        for chunk in chunks:
            builder.feed(chunk)
        return builder.finish()

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[IndexEntry]:
        return iter(self.entries)

    def __contains__(self, path: str) -> bool:
        return path in self._by_path

    def get(self, path: str) -> IndexEntry | None:
        """Return the entry of a path, None if there is none (there may be entries below it)."""
        return self._by_path.get(path)

    def children(self, path: str = "") -> tuple[str, ...]:
        """Return the paths directly below `path`, sorted, those without an entry of their own too.

        Empty if nothing is below it, or it is not there. Raises InvalidLayer (`MAX_IMPLIED`).
        """
        if self._children is None:
            self._children = _tree(self._by_path.keys())
        return tuple(self._children.get(path, ()))

    def encode(self) -> bytes:
        """Return the stored form; the same entries always give the same bytes."""
        entries = self.entries
        numbered = list(enumerate(entries))
        return msgspec.msgpack.encode(
            _Encoded(
                version=_VERSION,
                unpacked_size=self.unpacked_size,
                whiteouts=_joined(sorted(self.whiteouts)),
                opaques=_joined(sorted(self.opaques)),
                paths=_joined(entry.path for entry in entries),
                links=_joined(entry.link for entry in entries),
                types=bytes(entry.type for entry in entries),
                modes=[entry.mode for entry in entries],
                uids=[entry.uid for entry in entries],
                gids=[entry.gid for entry in entries],
                sizes=[entry.size for entry in entries],
                mtimes=[entry.mtime_ns for entry in entries],
                offsets=[entry.offset for entry in entries],
                sparse={at: entry.stored for at, entry in numbered if entry.sparse},
                devices={
                    at: (entry.major, entry.minor)
                    for at, entry in numbered
                    if entry.major or entry.minor
                },
                xattrs={
                    at: {_raw(name): value for name, value in sorted(entry.xattrs.items())}
                    for at, entry in numbered
                    if entry.xattrs
                },
            )
        )

    @classmethod
    def decode(cls, raw: bytes) -> "LayerIndex":
        """Read the stored form. Raises CorruptData if it is none, or of another version."""
        if len(raw) > MAX_ENCODED:
            raise CorruptData(f"layer index is larger than {MAX_ENCODED} bytes")
        try:
            stored = _DECODER.decode(raw)
            if stored.version != _VERSION:
                raise CorruptData(f"layer index has version {stored.version}, not {_VERSION}")
            return cls(
                _entries(stored),
                whiteouts=_split(stored.whiteouts),
                opaques=_split(stored.opaques),
                unpacked_size=stored.unpacked_size,
            )
        except (msgspec.DecodeError, ValueError) as broken:
            raise CorruptData(f"layer index is broken: {broken}") from broken


_DECODER: Final = msgspec.msgpack.Decoder(_Encoded)


class EntryReader(Protocol):
    """What wants to see the entries of a stream, and their data, while it is indexed."""

    def begin(self, entry: IndexEntry) -> None:
        """An entry begins."""

    def feed(self, data: memoryview) -> None:
        """The next of its data as it is stored; valid during the call only."""

    def end(self) -> None:
        """The entry ends."""


class IndexBuilder:
    """Makes a `LayerIndex` out of an uncompressed tar stream that is pushed in pieces.

    `reader` is shown every entry of the index. A tar that is no `layer` is one that a program would
    unpack: files with the names of whiteouts are files, no path leads out of it, and a file lies
    where the links among its directories lead.
    """

    def __init__(
        self,
        *,
        limits: FootprintLimits | None = None,
        reader: EntryReader | None = None,
        layer: bool = True,
    ) -> None:
        self._footprint = Footprint(limits, error=unpack_error)
        self._reader = reader
        self._scanner = TarScanner(
            self._on_entry,
            on_data=None if reader is None else reader.feed,
            on_end=None if reader is None else reader.end,
            error=unpack_error,
            rooted=not layer,
        )
        self._entries: dict[str, IndexEntry] = {}
        self._placing = None if layer else Placing(self._entries, error=unpack_error)
        self._whiteouts: set[str] = set()
        self._opaques: set[str] = set()
        self._xattr_bytes = 0

    def feed(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the stream. Raises InvalidLayer."""
        self._scanner.feed(data)

    def finish(self) -> LayerIndex:
        """Say that the stream ends here. Raises InvalidLayer if it is not complete."""
        self._scanner.close()
        there = self._footprint.paths
        return LayerIndex(
            [entry for path, entry in self._entries.items() if path in there],
            whiteouts=self._whiteouts,
            opaques=self._opaques,
            unpacked_size=self._footprint.total,
        )

    def _on_entry(self, header: TarHeader) -> bool:
        if self._placing is not None:
            header = _placed(header, self._placing)
        self._footprint.add(header)
        path = header.path
        if self._placing is None and is_whiteout(path):
            self._note_removal(path)
            return False
        self._xattr_bytes += sum(len(name) + len(value) for name, value in header.xattrs.items())
        if self._xattr_bytes > _MAX_XATTRS:
            raise unpack_error("layer has too many extended attributes")
        # The last of several entries of a path counts, and stands where it stood in the stream.
        self._entries.pop(path, None)
        self._entries[path] = entry = self._entry(header)
        if self._reader is None:
            return False
        self._reader.begin(entry)
        return True

    def _note_removal(self, path: str) -> None:
        above, _, name = path.rpartition("/")
        if name == OPAQUE_MARKER:
            self._opaques.add(above)
        elif not name.startswith(".wh..wh."):  # the rest of those is AUFS's own
            removed = name.removeprefix(".wh.")
            if removed in {"", ".", ".."}:
                raise unpack_error(f"invalid whiteout /{path}")
            self._whiteouts.add(f"{above}/{removed}" if above else removed)

    def _entry(self, header: TarHeader) -> IndexEntry:
        size, offset, stored, sparse = header.size, header.offset, header.stored, header.sparse
        if header.type == EntryType.HARD_LINK:
            target = self._entries.get(self._footprint.target(header.link))
            if target is not None:
                size, offset = target.size, target.offset
                stored, sparse = target.stored, target.sparse
        return IndexEntry(
            path=header.path,
            type=EntryType(header.type),
            mode=header.mode,
            uid=header.uid,
            gid=header.gid,
            size=size,
            mtime_ns=min(max(header.mtime_ns, _INT64[0]), _INT64[-1]),
            link=header.link,
            offset=offset,
            stored=stored,
            sparse=sparse,
            major=header.major,
            minor=header.minor,
            xattrs=header.xattrs,
        )


def _placed(header: TarHeader, placing: Placing[IndexEntry]) -> TarHeader:
    """The header of an archive's entry, with the path where it comes to lie."""
    path = placing.place(header.path, is_directory=header.type == EntryType.DIRECTORY)
    return header if path == header.path else structs.replace(header, path=path)


def _tree(paths: Collection[str]) -> dict[str, list[str]]:
    """Map each directory, named or implied, to what is directly below it."""
    below: dict[str, set[str]] = {}
    implied = ImpliedDirectories(unpack_error)
    for path in paths:
        child = path
        while child:
            above = child.rpartition("/")[0]
            siblings = below.setdefault(above, set())
            if child in siblings:
                break
            siblings.add(child)
            if child not in paths:
                implied.add(child)
            child = above
    return {above: sorted(children) for above, children in below.items()}


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _joined(texts: Iterable[str]) -> bytes:
    """Join texts; each is followed by a NUL, so that none and one empty text differ."""
    return "".join(f"{text}\0" for text in texts).encode("utf-8", "surrogateescape")


def _split(joined: bytes) -> list[str]:
    if joined and joined[-1]:
        raise ValueError("a text is cut")
    return joined.decode("utf-8", "surrogateescape").split("\0")[:-1]


def _entries(stored: _Encoded) -> list[IndexEntry]:
    """Put the columns together. Raises ValueError if they are not of one length."""
    rows = zip(
        _split(stored.paths),
        _split(stored.links),
        stored.types,
        stored.modes,
        stored.uids,
        stored.gids,
        stored.sizes,
        stored.mtimes,
        stored.offsets,
        strict=True,
    )
    no_devices = (0, 0)
    entries: list[IndexEntry] = []
    for at, (path, link, type, mode, uid, gid, size, mtime_ns, offset) in enumerate(rows):
        major, minor = stored.devices.get(at, no_devices)
        xattrs = stored.xattrs.get(at)
        entries.append(
            IndexEntry(
                path=path,
                type=EntryType(type),
                mode=mode,
                uid=uid,
                gid=gid,
                size=size,
                mtime_ns=mtime_ns,
                link=link,
                offset=offset,
                stored=stored.sparse.get(at, size),
                sparse=at in stored.sparse,
                major=major,
                minor=minor,
                xattrs=_xattrs(xattrs) if xattrs else NO_XATTRS,
            )
        )
    return entries


def _xattrs(stored: dict[bytes, bytes]) -> Mapping[str, bytes]:
    return MappingProxyType(
        {name.decode("utf-8", "surrogateescape"): value for name, value in stored.items()}
    )
