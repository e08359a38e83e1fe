"""An image archive taken apart while it arrives, in one pass and whatever the order of its members.

Members which can only be JSON are kept in memory, within limits; everything else may be a layer,
and goes to the content store and through a scan at once. What the members mean is told later, when
all are known, by `lamina.transfer.archived`.
"""

import asyncio
import posixpath
import re
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from lamina.content.store import BlobStore, BlobWriter
from lamina.errors import CorruptData, DigestMismatch, InvalidArchive, InvalidLayer
from lamina.layers.compression import PREFIX_SIZE, Decompressor, detect
from lamina.layers.scan import MAX_LAYER
from lamina.layers.tarheader import EntryType, TarHeader
from lamina.layers.tarstream import TarScanner
from lamina.oci.digest import Digest, is_digest
from lamina.records.records import Lease
from lamina.transfer.layer_intake import LayerIntake, StoredLayer

T = TypeVar("T")

MAX_DOCUMENT: Final = 8 << 20
"""Bytes of one JSON member."""
MAX_DOCUMENTS: Final = 64 << 20
"""Bytes of all JSON members of an archive, which are held in memory."""
MAX_MEMBERS: Final = 100_000
_MAX_LINKS: Final = 16

_BLOB_PATH: Final = re.compile(r"blobs/([a-z0-9]+)/([0-9a-f]+)")
_DOCUMENT_NAMES: Final = frozenset(("json", "repositories", "oci-layout"))
_IGNORED_NAMES: Final = frozenset(("VERSION",))


@dataclass(frozen=True, slots=True)
class Document:
    """A member that is JSON, whole."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """A member that stands for another one; `target` is that one's path in the archive."""

    target: str


@dataclass(frozen=True, slots=True)
class NoLayer:
    """A member that is no layer, and why it is not."""

    error: CorruptData


Member = Document | Link | NoLayer | StoredLayer


@dataclass(frozen=True, slots=True)
class Members:
    """The members of an archive by their path."""

    by_path: Mapping[str, Member]

    def resolve(self, path: str) -> Document | NoLayer | StoredLayer | None:
        """The member at `path`, links followed; None if there is none. Raises InvalidArchive."""
        current = posixpath.normpath(path)
        for _ in range(_MAX_LINKS):
            member = self.by_path.get(current)
            if not isinstance(member, Link):
                return member
            current = member.target
        raise InvalidArchive(f"open {path}: too many levels of symbolic links")

    def document(self, path: str) -> bytes | None:
        """The JSON member at `path`. Raises InvalidArchive if something else is there."""
        member = self.resolve(path)
        if member is None:
            return None
        if not isinstance(member, Document):
            raise InvalidArchive(f"{path} is not a JSON document")
        return member.raw


class ArchiveIntake:
    """Takes an archive's bytes, compressed or not; for use in a worker thread.

    `loop` is the event loop on which the caller waits meanwhile: the store and the records live
    there. `known` gives the layer of a blob which the store has already, so that its bytes in the
    archive are passed over; `stored` is told of every layer that was published, wanted or not.
    """

    def __init__(
        self,
        blobs: BlobStore,
        lease: Lease,
        *,
        known: Callable[[Digest], Coroutine[Any, Any, StoredLayer | None]],
        stored: Callable[[StoredLayer], Coroutine[Any, Any, None]],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._blobs = blobs
        self._lease = lease
        self._known = known
        self._stored = stored
        self._loop = loop
        self._members: dict[str, Member] = {}
        self._documents_size = 0
        self._scanner = TarScanner(
            self._on_entry, on_data=self._on_data, on_end=self._on_end, error=_archive_error
        )
        self._prefix: bytes | None = b""
        self._decompressor: Decompressor | None = None
        self._entry: TarHeader | None = None
        self._member: _MemberIntake | None = None

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the archive. Raises CorruptData."""
        if self._prefix is None:
            self._take(data)
            return
        self._prefix += data
        if len(self._prefix) >= PREFIX_SIZE:
            self._begin(self._prefix)

    def finish(self) -> Members:
        """Say that the archive ends here. Raises CorruptData if it ends too early."""
        if self._prefix is not None:
            self._begin(self._prefix)
        assert self._decompressor is not None
        self._decompressor.close()
        self._scanner.close()
        return Members(self._members)

    def close(self) -> None:
        """Let go of a member whose end did not come."""
        if self._member is not None:
            self._member.close()

    def _begin(self, beginning: bytes) -> None:
        self._prefix = None
        kind = detect(beginning)
        self._decompressor = Decompressor(kind, limit=MAX_LAYER, error=_archive_error)
        self._take(beginning)

    def _take(self, data: bytes) -> None:
        assert self._decompressor is not None
        for piece in self._decompressor.feed(data):
            self._scanner.feed(piece)

    def _on_entry(self, header: TarHeader) -> bool:
        if len(self._members) >= MAX_MEMBERS:
            raise InvalidArchive(f"invalid archive: more than {MAX_MEMBERS} entries")
        self._entry, self._member = header, None
        if header.type in (EntryType.SYMLINK, EntryType.HARD_LINK):
            self._members[header.path] = Link(_link_target(header))
            return False
        if header.type not in (EntryType.REGULAR, EntryType.CONTIGUOUS) or header.sparse:
            return False
        if posixpath.basename(header.path) in _IGNORED_NAMES:
            return False
        blob = _blob_of_path(header.path)
        if blob is not None and (layer := self._wait(self._known(blob))) is not None:
            self._members[header.path] = layer
            return False
        return True

    def _on_data(self, data: memoryview) -> None:
        if self._member is None:
            self._member = self._member_intake(data)
        self._member.take(data)

    def _on_end(self) -> None:
        if self._member is None:
            self._member = self._member_intake(memoryview(b""))
        assert self._entry is not None
        self._members[self._entry.path] = self._member.end()
        self._member = None

    def _member_intake(self, beginning: memoryview) -> "_MemberIntake":
        """What takes the member whose header came last and whose data begins so."""
        assert self._entry is not None
        path, size = self._entry.path, self._entry.size
        blob = _blob_of_path(path)
        # Configurations and manifests of an OCI layout cannot be told from layers by their names.
        is_document = _is_document_name(path) if blob is None else _looks_like_json(beginning)
        if not is_document or (blob is not None and size > MAX_DOCUMENT):
            return _FileIntake(self, blob)
        self._documents_size += size
        if size > MAX_DOCUMENT or self._documents_size > MAX_DOCUMENTS:
            raise InvalidArchive(f"invalid archive: {path} is too large ({size} bytes)")
        return _DocumentIntake(blob)

    # What a file's intake needs of the store; each call waits for the loop.

    def open_writer(self, stack: AsyncExitStack, blob: Digest | None) -> BlobWriter:
        """A writer for a blob, closed with `stack`."""
        return self._wait(stack.enter_async_context(self._blobs.ingest(expected=blob)))

    def publish(self, writer: BlobWriter, layer: StoredLayer) -> None:
        """Make a written layer visible, and tell."""

        async def publish() -> None:
            await self._lease.protect(layer.blob.digest)
            await writer.commit()
            await self._stored(layer)

        self._wait(publish())

    def close_stack(self, stack: AsyncExitStack) -> None:
        """Close a writer; what was not published is gone."""
        self._wait(stack.aclose())

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class _MemberIntake(Protocol):
    """Takes the data of one member."""

    def take(self, data: memoryview) -> None: ...

    def end(self) -> Member: ...

    def close(self) -> None: ...


class _DocumentIntake:
    """Keeps a JSON member; one that is named by a digest is checked against it."""

    def __init__(self, blob: Digest | None) -> None:
        self._blob = blob
        self._raw = bytearray()

    def take(self, data: memoryview) -> None:
        self._raw += data

    def end(self) -> Member:
        raw = bytes(self._raw)
        if self._blob is not None and self._blob.algorithm == "sha256":
            actual = Digest.of(raw)
            if actual != self._blob:
                raise DigestMismatch(self._blob, actual)
        return Document(raw)

    def close(self) -> None:
        self._raw.clear()


class _FileIntake:
    """Stores a member as a layer, until it turns out to be none."""

    def __init__(self, archive: ArchiveIntake, blob: Digest | None) -> None:
        self._archive = archive
        self._stack = AsyncExitStack()
        self._writer = archive.open_writer(self._stack, blob)
        self._layer = LayerIntake(self._writer)
        self._error: InvalidLayer | None = None

    def take(self, data: memoryview) -> None:
        if self._error is None:
            try:
                self._layer.feed(data)
            except InvalidLayer as error:
                # Archives may hold other files: an error only if a manifest calls this one a layer.
                self._error = error
                self.close()

    def end(self) -> Member:
        if self._error is not None:
            return NoLayer(self._error)
        try:
            layer = self._layer.finish()
        except InvalidLayer as error:
            self.close()
            return NoLayer(error)
        self._archive.publish(self._writer, layer)
        self.close()
        return layer

    def close(self) -> None:
        self._archive.close_stack(self._stack)


def _archive_error(why: str) -> InvalidArchive:
    return InvalidArchive(f"Error processing tar file(exit status 1): {why}")


def _link_target(header: TarHeader) -> str:
    if header.type == EntryType.HARD_LINK:
        return header.link
    target = posixpath.normpath(posixpath.join("/", posixpath.dirname(header.path), header.link))
    return target.lstrip("/")


def _is_document_name(path: str) -> bool:
    name = posixpath.basename(path)
    return name.endswith(".json") or name in _DOCUMENT_NAMES


def _blob_of_path(path: str) -> Digest | None:
    match = _BLOB_PATH.fullmatch(path)
    text = f"{match[1]}:{match[2]}" if match else ""
    return Digest.parse(text) if is_digest(text) else None


def _looks_like_json(beginning: memoryview) -> bool:
    return bytes(beginning[:1]) == b"{" and bytes(beginning[257:262]) != b"ustar"
