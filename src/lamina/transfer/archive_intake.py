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
from typing import Any, Final, TypeVar

from lamina.content.store import BlobWriter
from lamina.errors import InvalidArchive
from lamina.layers.compression import PREFIX_SIZE, Decompressor, detect
from lamina.layers.scan import MAX_LAYER
from lamina.layers.tarheader import BLOCK, EntryType, TarHeader
from lamina.layers.tarstream import TarScanner
from lamina.oci.digest import Digest, is_digest
from lamina.transfer.incoming import Incoming
from lamina.transfer.layer_intake import StoredLayer
from lamina.transfer.member_intake import DocumentIntake, FileIntake, MemberIntake
from lamina.transfer.members import Link, Member, Members

T = TypeVar("T")

MAX_DOCUMENT: Final = 8 << 20
"""Bytes of one JSON member."""
MAX_DOCUMENTS: Final = 32 << 20
"""Bytes of all JSON members of an archive, which are held in memory."""
MAX_MEMBERS: Final = 100_000
MAX_NAMES: Final = 8 << 20
"""Characters of all members' paths and links."""

_BLOB_PATH: Final = re.compile(r"blobs/([a-z0-9]+)/([0-9a-f]+)")
_DOCUMENT_NAMES: Final = frozenset(("json", "repositories", "oci-layout"))
_IGNORED_NAMES: Final = frozenset(("VERSION",))


@dataclass(frozen=True, slots=True)
class LayerTaken:
    """How much of a layer has been taken: `current` of `total` bytes in the archive."""

    diff_id: Digest
    """Verified once all is taken; until then what the archive says."""
    current: int
    total: int


class ArchiveIntake:
    """Takes an archive's bytes, compressed or not; for use in a worker thread.

    `loop` is the event loop on which the caller waits meanwhile: the store and the records live
    there. `known` gives the layer of a blob which the store has already, so that its bytes in the
    archive are passed over; `claims` the diff IDs of layers by path, as far as the members that
    came before tell them.
    """

    def __init__(
        self,
        coming: Incoming,
        *,
        known: Callable[[Digest], Coroutine[Any, Any, StoredLayer | None]],
        claims: Callable[[Members], Mapping[str, Digest]],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._coming = coming
        self._known = known
        self._claims = claims
        self._loop = loop
        self._members: dict[str, Member] = {}
        self._documents_size = 0
        self._claimed_at = 0
        self._claimed: Mapping[str, Digest] = {}
        self._names_size = 0
        self._taken: list[LayerTaken] = []
        self._scanner = TarScanner(
            self._on_entry, on_data=self._on_data, on_end=self._on_end, error=_archive_error
        )
        self._prefix: bytes | None = b""
        self._decompressor: Decompressor | None = None
        self._entry: TarHeader | None = None
        self._beginning = bytearray()
        self._member: MemberIntake | None = None
        self._published: set[Digest] = set()

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

    def progress(self) -> list[LayerTaken]:
        """What happened to layers since this was asked last; not while another call runs."""
        taken, self._taken = self._taken, []
        return taken

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
        self._entry, self._member = header, None
        if header.type in (EntryType.SYMLINK, EntryType.HARD_LINK):
            self._add(Link(_link_target(header)))
            return False
        if header.type not in (EntryType.REGULAR, EntryType.CONTIGUOUS) or header.sparse:
            return False
        if posixpath.basename(header.path) in _IGNORED_NAMES:
            return False
        blob = _blob_of_path(header.path)
        if blob is not None and (layer := self.wait(self._known(blob))) is not None:
            self._add(layer)
            return False
        return True

    def _add(self, member: Member) -> None:
        assert self._entry is not None
        path, link = self._entry.path, self._entry.link
        self._names_size += len(path) + len(link)
        if len(self._members) >= MAX_MEMBERS or self._names_size > MAX_NAMES:
            raise InvalidArchive(f"invalid archive: more than {MAX_MEMBERS} entries")
        self._members[path] = member

    def _on_data(self, data: memoryview) -> None:
        if self._member is None:
            assert self._entry is not None
            needed = min(BLOCK, self._entry.stored)
            if self._beginning or len(data) < needed:
                self._beginning += data
                if len(self._beginning) < needed:
                    return
                data = memoryview(bytes(self._beginning))
                self._beginning.clear()
            self._member = self._member_intake(data)
        self._member.take(data)

    def _on_end(self) -> None:
        if self._member is None:
            self._member = self._member_intake(memoryview(b""))
        self._add(self._member.end())
        self._member = None

    def _member_intake(self, beginning: memoryview) -> MemberIntake:
        """What takes the member whose header came last and whose data begins so."""
        assert self._entry is not None
        path, size = self._entry.path, self._entry.size
        blob = _blob_of_path(path)
        named = blob is None and _is_document_name(path)
        # Many archives have names for configurations and manifests that tell nothing.
        if not named and (size > MAX_DOCUMENT or not _looks_like_json(beginning)):
            return FileIntake(self, path, blob, size)
        self._documents_size += size
        if size > MAX_DOCUMENT or self._documents_size > MAX_DOCUMENTS:
            raise InvalidArchive(f"invalid archive: {path} is too large ({size} bytes)")
        return DocumentIntake(blob)

    # What a file's intake needs; see `member_intake.Archive`.

    def open_writer(self, stack: AsyncExitStack, blob: Digest | None) -> BlobWriter:
        """A writer for a blob, closed with `stack`."""
        return self.wait(stack.enter_async_context(self._coming.blobs.ingest(expected=blob)))

    def publish(self, writer: BlobWriter, digest: Digest) -> None:
        """Make a written blob visible."""
        self.wait(self._coming.publish(writer, digest))
        self._published.add(digest)

    def has_published(self, digest: Digest) -> bool:
        """Whether another member was the same blob."""
        return digest in self._published

    def claimed_diff_id(self, path: str) -> Digest | None:
        """What the members so far say about the layer at `path`."""
        if self._claimed_at != self._documents_size:
            self._claimed_at = self._documents_size
            self._claimed = self._claims(Members(self._members))
        return self._claimed.get(path)

    def tell(self, diff_id: Digest, current: int, total: int) -> None:
        """Note how much of a layer has been taken."""
        self._taken.append(LayerTaken(diff_id, current, total))

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _archive_error(why: str) -> InvalidArchive:
    return InvalidArchive(f"Error processing tar file(exit status 1): {why}")


def _link_target(header: TarHeader) -> str:
    if header.type == EntryType.HARD_LINK:
        return header.link
    return posixpath.join("/", posixpath.dirname(header.path), header.link)


def _is_document_name(path: str) -> bool:
    name = posixpath.basename(path)
    return name.endswith(".json") or name in _DOCUMENT_NAMES


def _blob_of_path(path: str) -> Digest | None:
    match = _BLOB_PATH.fullmatch(path)
    text = f"{match[1]}:{match[2]}" if match else ""
    return Digest.parse(text) if is_digest(text) else None


def _looks_like_json(beginning: memoryview) -> bool:
    return bytes(beginning[:1]) == b"{" and bytes(beginning[257:262]) != b"ustar"
