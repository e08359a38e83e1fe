"""Reading a tar stream that is pushed in pieces of any size.

One parser serves every use: scanning a layer (nobody wants the data, which is skipped without any
call), indexing it, and taking an image archive apart while it arrives (the data of the entries
that are wanted is handed on as views of what was fed, uncopied).

A stream is a sequence of entries: perhaps extension headers (GNU long names, PAX records), a
header, the data, padding to 512 bytes; at last two zero blocks. What Go's ``archive/tar`` accepts
is accepted, and nothing more: the last padding and the zero blocks may be missing, anything may
follow the zero blocks, a stream may be empty; PAX global headers are read and not applied.
"""

import posixpath
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import structs

from lamina.errors import InvalidLayer, LaminaError
from lamina.layers.sparse import MAX_FRAGMENTS, gnu_fragments, pax_fragments
from lamina.layers.tarheader import (
    BLOCK,
    NO_XATTRS,
    ZERO_BLOCK,
    EntryType,
    TarHeader,
    Trailer,
    checksum_holds,
    clean_path,
    nanoseconds,
    number,
    owner,
    pax_number,
    pax_records,
    text,
    trailer,
)

__all__ = ["MAX_EXTENSION", "MAX_PATH", "TarScanner"]

MAX_EXTENSION: Final = 1 << 20
"""Bytes of one extension header; the limit of Go's reader."""

MAX_PATH: Final = 4096
"""Characters of a path: what Linux can open (PATH_MAX)."""

_INVALID_HEADER: Final = "archive/tar: invalid tar header"
_TRUNCATED: Final = "unexpected EOF"
_XATTR: Final = "SCHILY.xattr."

_REGULAR: Final = int(EntryType.REGULAR)
_HARD_LINK: Final = int(EntryType.HARD_LINK)
_SYMLINK: Final = int(EntryType.SYMLINK)
_DIRECTORY: Final = int(EntryType.DIRECTORY)
_GNU_SPARSE: Final = int(EntryType.GNU_SPARSE)
_PAX_GLOBAL: Final = int(EntryType.PAX_GLOBAL)
_PAX: Final = ord("x")
_GNU_LONG_NAME: Final = ord("L")
_GNU_LONG_LINK: Final = ord("K")
_EXTENSIONS: Final = frozenset((_PAX, _PAX_GLOBAL, _GNU_LONG_NAME, _GNU_LONG_LINK))
# Their headers may hold a size, and no data follows all the same.
_WITHOUT_DATA: Final = frozenset(range(_HARD_LINK, int(EntryType.FIFO) + 1))

_NO_RECORDS: Final[Mapping[str, bytes]] = {}


class TarScanner:
    """An incremental, pushed parser of a tar stream.

    `on_entry` gets each entry's header when it is complete, and returns whether it wants the
    entry's data. If so, `on_data` gets the data in views that are valid during the call only, then
    `on_end` is called once, also for an entry without data. Neither happens to other entries.

    Nothing but one header and its extensions (of `MAX_EXTENSION` bytes each) is ever held. `error`
    makes the exception that a broken stream raises out of the words of Go's reader; after it, as
    after an exception of a callback, the scanner is of no more use.

    A path that leads out of the archive is an error, or else, if it is `rooted`, ends at its root.
    """

    def __init__(
        self,
        on_entry: Callable[[TarHeader], bool],
        *,
        on_data: Callable[[memoryview], None] | None = None,
        on_end: Callable[[], None] | None = None,
        error: Callable[[str], LaminaError] = InvalidLayer,
        rooted: bool = False,
    ) -> None:
        self.size = 0
        """Bytes fed so far."""
        self.entries = 0
        """Entries seen so far."""
        self.ended = False
        """The end-of-archive blocks have been seen."""
        self._on_entry = on_entry
        self._on_data = on_data
        self._on_end = on_end
        self._error = error
        self._rooted = rooted
        # The state: a part of a block, or else data and then padding to go, or else at a header.
        self._part = bytearray()
        self._left = 0
        self._padding = 0
        self._take: Callable[[memoryview], None] | None = None
        self._done: Callable[[], None] | None = None
        self._blocks: Callable[[bytes, int], None] = self._header
        # What the extension headers before the next header said.
        self._start: int | None = None
        self._extension = bytearray()
        self._extension_type = 0
        self._records: Mapping[str, bytes] = _NO_RECORDS
        self._long_name: str | None = None
        self._long_link: str | None = None
        self._zero_seen = False
        self._sparse: TarHeader | None = None
        self._fragments: list[tuple[int, int]] = []

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Parse the next bytes of the stream. Raises the error for a broken stream."""
        base = self.size
        end = len(data)
        self.size = base + end
        at = 0
        view = memoryview(data)
        if self._part:
            at = BLOCK - len(self._part)
            self._part += view[:at]
            if end < at:
                return
            block = bytes(self._part)
            self._part.clear()
            self._blocks(block, base + at - BLOCK)
        while at < end:
            if self.ended:
                return
            if self._left:
                at = self._pass_data(view, at)
            elif self._padding:
                skipped = min(self._padding, end - at)
                self._padding -= skipped
                at += skipped
            elif end - at >= BLOCK:
                self._blocks(view[at : at + BLOCK].tobytes(), base + at)
                at += BLOCK
            else:
                self._part += view[at:]
                return

    def close(self) -> None:
        """Say that the stream ends here. Raises the error if it ends inside of an entry."""
        if self._left or self._part or self._sparse is not None or self._start is not None:
            raise self._error(_TRUNCATED)

    def _invalid(self, why: str, at: int | None) -> LaminaError:
        error = self._error(_INVALID_HEADER)
        error.add_note(f"{why}, in the block at byte {at}")
        return error

    def _pass_data(self, view: memoryview, at: int) -> int:
        end = min(len(view), at + self._left)
        if self._take is not None:
            self._take(view[at:end])
        self._left -= end - at
        if not self._left:
            self._end_data()
        return end

    def _end_data(self) -> None:
        done = self._done
        self._take = self._done = None
        if done is not None:
            done()

    def _header(self, block: bytes, at: int) -> None:
        """Take the block at the place of a header."""
        if self._zero_seen or block == ZERO_BLOCK:
            self._end_block(block, at)
            return
        try:
            if not checksum_holds(block):
                raise self._invalid("wrong checksum", at)
            type = block[156]
            size = number(block[124:136])
            if type in _EXTENSIONS:
                self._extend(type, size, at)
                return
            header = self._entry(block, type, size, at)
        except ValueError as broken:
            raise self._invalid(str(broken), at) from broken
        if header.type == _GNU_SPARSE and block[482]:
            self._sparse = header
            self._blocks = self._sparse_map
            return
        self._deliver(header)

    def _end_block(self, block: bytes, at: int) -> None:
        """Take a zero block, or what follows one: only a second zero block may."""
        if self._start is not None:
            raise self._error(_TRUNCATED)
        if self._zero_seen and block != ZERO_BLOCK:
            raise self._invalid("a header after a zero block", at)
        self.ended = self._zero_seen
        self._zero_seen = True

    def _deliver(self, header: TarHeader) -> None:
        self.entries += 1
        stored = header.stored
        self._left = stored
        self._padding = -stored % BLOCK
        if self._on_entry(header):
            self._take = self._on_data
            self._done = self._on_end
            if not stored:
                self._end_data()

    def _entry(self, block: bytes, type: int, size: int, at: int) -> TarHeader:
        """Build the entry of a header block and of the extension headers before it."""
        name = text(block[:100])
        link = text(block[157:257]) if _HARD_LINK <= type <= _SYMLINK else ""
        tail = trailer(block[257:345] + block[508:])
        if block[345]:
            name = self._prefixed(name, block, tail)
        start = at
        records = _NO_RECORDS
        if self._start is not None:
            start, records, name, link = self._extensions(name, link)
        if type == 0:
            # V7 has no type for directories.
            type = _DIRECTORY if name.endswith("/") else _REGULAR
        if type in _WITHOUT_DATA:
            size = 0
        who = owner(block[100:124])
        header = TarHeader(
            self._path(name),
            type,
            size,
            self._link(name, link, type) if link else "",
            who.mode,
            who.uid,
            who.gid,
            number(block[136:148]) * 1_000_000_000,
            tail.user,
            tail.group,
            tail.major,
            tail.minor,
            NO_XATTRS,
            False,  # noqa: FBT003 - by place: keywords would double the cost of an entry
            start,
            at + BLOCK,
            size,
        )
        if records:
            header = _with_records(header, records)
        if type == _GNU_SPARSE:
            header = structs.replace(
                header,
                size=number(block[483:495]),
                sparse=True,
                fragments=gnu_fragments(block[386:482]),
            )
        if header.size < 0 or header.stored < 0:
            raise ValueError("negative size")
        return header

    def _extensions(self, name: str, link: str) -> tuple[int, Mapping[str, bytes], str, str]:
        """Return, and forget, what the extension headers said: start, records, name, link."""
        start, records = self._start, self._records
        assert start is not None
        name = _text_record(records, "path", name)
        name = _text_record(records, "GNU.sparse.name", name)
        link = _text_record(records, "linkpath", link)
        if self._long_name is not None:
            name = self._long_name
        if self._long_link is not None:
            link = self._long_link
        self._start = self._long_name = self._long_link = None
        self._records = _NO_RECORDS
        return start, records, name, link

    def _path(self, name: str) -> str:
        path = clean_path(name)
        if path is None and self._rooted:
            path = _rooted(name)
        if path is None:
            raise self._error(f'invalid path "{_shown(name)}": outside of the archive')
        if len(path) > MAX_PATH:
            raise self._error(f"open /{_shown(path)}: file name too long")
        return path

    def _link(self, name: str, link: str, type: int) -> str:
        if len(link) > MAX_PATH:
            raise self._error(f"symlink {_shown(link)} /{_shown(name)}: file name too long")
        if type == _SYMLINK:
            return link
        target = clean_path(link)
        if target is None and self._rooted:
            target = _rooted(link)
        if target is None:
            raise self._error(
                f'invalid hardlink "{_shown(name)}" -> "{_shown(link)}": outside of the archive'
            )
        return target if type == _HARD_LINK else ""

    @staticmethod
    def _prefixed(name: str, block: bytes, tail: Trailer) -> str:
        """Put the prefix before the name, if the format has one; GNU has times in its place."""
        if tail.ustar:
            return f"{text(block[345:500])}/{name}"
        if tail.star:
            return f"{text(block[345:476])}/{name}"
        return name

    def _extend(self, type: int, size: int, at: int) -> None:
        """Begin to collect the data of an extension header."""
        if not 0 <= size <= MAX_EXTENSION:
            raise self._invalid("too large an extension header", at)
        if self._start is None:
            self._start = at
        self._extension_type = type
        self._left = size
        self._padding = -size % BLOCK
        self._take = self._extension.extend
        self._done = self._extended
        if not size:
            self._end_data()

    def _extended(self) -> None:
        """Take the data of an extension header, now that it is whole."""
        raw = bytes(self._extension)
        self._extension.clear()
        if self._extension_type == _GNU_LONG_NAME:
            self._long_name = text(raw)
        elif self._extension_type == _GNU_LONG_LINK:
            self._long_link = text(raw)
        else:
            try:
                records = pax_records(raw)
            except ValueError as broken:
                raise self._invalid(str(broken), self._start) from broken
            if self._extension_type == _PAX:
                self._records = records
            elif self._long_name is None and self._long_link is None and not self._records:
                # To Go a global header is an entry of its own, so one may end an archive.
                self._start = None

    def _sparse_map(self, block: bytes, at: int) -> None:
        """Take a block of the map that continues GNU's old sparse header; 504 tells of another."""
        header = self._sparse
        assert header is not None
        try:
            self._fragments += gnu_fragments(block[:504])
        except ValueError as broken:
            raise self._invalid(str(broken), at) from broken
        if len(self._fragments) > MAX_FRAGMENTS:
            raise self._invalid("too large a map of a sparse file", at)
        if block[504]:
            return
        fragments = (header.fragments or ()) + tuple(self._fragments)
        self._sparse = None
        self._fragments = []
        self._blocks = self._header
        self._deliver(structs.replace(header, offset=at + BLOCK, fragments=fragments))


def _with_records(header: TarHeader, records: Mapping[str, bytes]) -> TarHeader:
    """Apply PAX records to an entry, all but its names. Raises ValueError."""
    mtime = records.get("mtime")
    size = stored = 0
    sparse = False
    fragments = header.fragments
    if header.type not in _WITHOUT_DATA:
        size = stored = _number_record(records, "size", header.stored)
        # In all three forms of GNU's sparse files the size is that of the map and the fragments.
        for key in ("GNU.sparse.size", "GNU.sparse.realsize"):
            if records.get(key):
                size = _number_record(records, key, size)
                sparse = True
        if sparse and records.get("GNU.sparse.major", b"0") == b"0":
            fragments = pax_fragments(records.get("GNU.sparse.map", b""))
    return structs.replace(
        header,
        size=size,
        stored=stored,
        sparse=sparse,
        fragments=fragments,
        uid=_number_record(records, "uid", header.uid),
        gid=_number_record(records, "gid", header.gid),
        mtime_ns=nanoseconds(mtime) if mtime else header.mtime_ns,
        user=_text_record(records, "uname", header.user),
        group=_text_record(records, "gname", header.group),
        xattrs=_xattrs(records),
    )


def _rooted(name: str) -> str:
    """The path that a name leads to where there is nothing above the root."""
    return posixpath.normpath(f"/{name}").lstrip("/")


def _shown(name: str) -> str:
    return name if len(name) <= 255 else f"{name[:255]}…"


def _text_record(records: Mapping[str, bytes], key: str, otherwise: str) -> str:
    """Return a record's text; an empty one leaves what the header says."""
    value = records.get(key)
    return value.decode("utf-8", "surrogateescape") if value else otherwise


def _number_record(records: Mapping[str, bytes], key: str, otherwise: int) -> int:
    value = records.get(key)
    return pax_number(value) if value else otherwise


def _xattrs(records: Mapping[str, bytes]) -> Mapping[str, bytes]:
    found = {
        key.removeprefix(_XATTR): value for key, value in records.items() if key.startswith(_XATTR)
    }
    return found or NO_XATTRS
