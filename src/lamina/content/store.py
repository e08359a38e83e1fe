"""What a blob store is.

A *blob* is an immutable sequence of bytes named by its digest. It is *ingested*: written through
a `BlobWriter`, verified, then published in one step, so that a blob which can be seen is always
whole. An ingest under a *key* outlives the process that wrote it and is resumed by the next
`ingest` of that key; one without is gone when its context is left uncommitted.

`tests/unit/content/conformance.py` says the same in a form every implementation has to pass.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lamina.oci.digest import Digest

READ_LIMIT = 8 << 20
"""Bytes that one call may hand out at most; whatever may be larger is read in chunks."""


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """A published blob: `size` in bytes, `modified` in unix seconds: when it was last ingested."""

    digest: Digest
    size: int
    modified: float


class BlobReader(Protocol):
    """An open blob. It stays readable while it is open, even when the blob is deleted meanwhile."""

    @property
    def digest(self) -> Digest:
        """The name of the blob."""

    @property
    def size(self) -> int:
        """Bytes in the blob."""

    @property
    def local_path(self) -> Path | None:
        """The blob's file, where the store has files: for servers and threads that read it."""

    def fileno(self) -> int:
        """The descriptor of the open file, for sendfile; OSError where the store has no files."""

    async def read(self, n: int = -1) -> bytes:
        """The next `n` bytes (at most `READ_LIMIT`), fewer at the end, none after it.

        Negative: all the rest; CorruptData if that is more than `READ_LIMIT`.
        """

    async def read_range(self, offset: int, length: int) -> bytes:
        """`length` bytes (at most `READ_LIMIT`) from `offset`, fewer where the blob ends."""

    def chunks(
        self, offset: int = 0, length: int | None = None, chunk_size: int = 1 << 20
    ) -> AsyncIterator[bytes]:
        """The bytes from `offset`, `length` of them or all, in pieces of at most `chunk_size`."""


class BlobWriter(Protocol):
    """A blob on its way in. One task or thread uses it at a time.

    The calls ending in ``_sync`` are the same for code that already runs in a worker thread.
    """

    @property
    def offset(self) -> int:
        """Bytes taken so far, those of an earlier attempt at the same key included."""

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append. SizeMismatch, and nothing taken, if that makes more than the announced size."""

    def write_sync(self, data: bytes | bytearray | memoryview) -> None:
        """`write`, in a worker thread."""

    async def finish(self) -> Digest:
        """Verify and make durable, not yet visible. SizeMismatch, DigestMismatch.

        After a DigestMismatch the bytes are given up, a key's too: what follows cannot mend them.
        """

    def finish_sync(self) -> Digest:
        """`finish`, in a worker thread."""

    async def commit(self) -> BlobInfo:
        """`finish`, if that was not done, and publish durably. A blob already there is success."""

    async def discard(self) -> None:
        """Give up what was written, a key's too. Does nothing after `commit`."""


class BlobStore(Protocol):
    """Blobs by digest. Any number of tasks, threads and processes may use one at the same time."""

    async def stat(self, digest: Digest) -> BlobInfo:
        """BlobNotFound if there is no such blob."""

    def walk(self) -> AsyncIterator[BlobInfo]:
        """Every blob, in no particular order; what comes or goes meanwhile may be seen or not."""

    async def delete(self, digest: Digest) -> None:
        """BlobNotFound if there is no such blob."""

    def open(self, digest: Digest) -> AbstractAsyncContextManager[BlobReader]:
        """Open for reading; BlobNotFound if there is no such blob."""

    async def read_bytes(self, digest: Digest, limit: int = READ_LIMIT) -> bytes:
        """A small blob whole, checked against its digest.

        BlobNotFound; CorruptData if it is over `limit`; DigestMismatch if it was damaged since.
        """

    def ingest(
        self,
        key: str | None = None,
        *,
        expected: Digest | None = None,
        size: int | None = None,
        kept: Callable[[bytes], None] | None = None,
    ) -> AbstractAsyncContextManager[BlobWriter]:
        """Begin a blob, or continue the one begun under `key`.

        `kept` is given, in a thread, what an earlier attempt at the key has written, piece by piece
        and before the context is entered: for who has to look at every byte.

        `key`: 1 to 200 of ``A-Z a-z 0-9 . _ : @ + -``, beginning with a letter or digit
        (InvalidParameter). Conflict while another holds the key. Bytes kept for another `expected`
        than this one are thrown away. Without `expected` the digest is a sha256.
        """

    async def sweep_ingests(self, older_than: float | None = None) -> int:
        """Remove the ingests that nobody holds; how many there were.

        Those without a key always; those with one if they were last written `older_than` seconds
        ago or earlier: 0 takes all, None takes none.
        """
