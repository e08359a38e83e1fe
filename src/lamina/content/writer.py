"""A blob on its way into the local store.

What `write` takes is gathered to batches, so that many small pieces cost one system call and one
thread hop. A batch is written by the caller's thread (or the one that works for it) while another
hashes it; and every `FLUSH_SIZE` a third one pushes what was written to the disk, so that little is
left for the last fsync. All work is done by the synchronous methods; the others run them in a
thread.
"""

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial

from lamina.content.blobs import BlobFiles
from lamina.content.staging import StagedFile
from lamina.content.store import BlobInfo
from lamina.content.threads import Threads
from lamina.errors import DigestMismatch, SizeMismatch
from lamina.oci.digest import Digest

BATCH_SIZE = 1 << 20
"""Bytes gathered before they are written."""

BATCH_PIECES = 512
"""Pieces gathered at most; the kernel takes 1024 at once."""

OVERLAP_SIZE = 128 << 10
"""Bytes whose hashing is worth another thread: handing over costs as much as hashing 50 KiB."""

FLUSH_SIZE = 32 << 20
"""Bytes after which what was written starts on its way to the disk."""

Bytes = bytes | memoryview


class LocalWriter:
    """A `BlobWriter` on a staged file.

    `stage` opens that file: at once for a key (`begin`), else with the first batch. `keep`: what is
    unfinished stays for the next one to use the key. The lock is there for a thread that still
    writes when its task was cancelled and the context closes: the descriptor must not go, and be
    given to another file, under its hands.
    """

    def __init__(
        self,
        *,
        stage: Callable[[], StagedFile],
        blobs: BlobFiles,
        expected: Digest | None,
        size: int | None,
        keep: bool,
        threads: Threads,
    ) -> None:
        self._stage = stage
        self._blobs = blobs
        self._expected = expected
        self._size = size
        self._keep = keep
        self._threads = threads
        algorithm = "sha256" if expected is None else expected.algorithm
        self._hash = hashlib.new(algorithm, usedforsecurity=False)
        self._lock = threading.Lock()
        self._offset = 0
        self._batch: list[Bytes] = []
        self._batch_size = 0
        self._hashing: Future[None] | None = None
        self._flushing: Future[None] | None = None
        self._unflushed = 0
        self._file: StagedFile | None = None
        self._digest: Digest | None = None
        self._synced = False
        self._failure: BaseException | None = None
        self._closed = False

    @property
    def offset(self) -> int:
        """Bytes taken so far."""
        return self._offset

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append: see `BlobWriter`."""
        if self._take(data):
            await self._threads.run(self._drain)

    def write_sync(self, data: bytes | bytearray | memoryview) -> None:
        """Append: see `BlobWriter`."""
        if self._take(data):
            self._drain()

    async def finish(self) -> Digest:
        """Verify and make durable: see `BlobWriter`."""
        return await self._threads.run(self.finish_sync)

    def finish_sync(self) -> Digest:
        """Verify and make durable: see `BlobWriter`."""
        with self._working():
            return self._finish()

    async def commit(self) -> BlobInfo:
        """Publish: see `BlobWriter`."""
        return await self._threads.run_to_end(self._commit)

    async def discard(self) -> None:
        """Give up: see `BlobWriter`."""
        self._keep = False
        await self.close()

    async def begin(self, kept: Callable[[bytes], None] | None = None) -> None:
        """Open the staged file now and hash what it holds: `offset` is then where to continue."""
        await self._threads.run_to_end(partial(self._resume, kept))

    async def close(self) -> None:
        """Leave: keep an unfinished key's bytes, drop any other's. Does nothing after `commit`."""
        if not self._closed:
            await self._threads.run_to_end(self._close)

    def _take(self, data: bytes | bytearray | memoryview) -> bool:
        """Put `data` to the batch; True if the batch is to be written now."""
        if self._closed or self._digest is not None:
            raise ValueError("write to a blob that is finished")
        if self._failure is not None:
            raise self._failure
        length = data.nbytes if isinstance(data, memoryview) else len(data)
        if self._size is not None and self._offset + length > self._size:
            raise SizeMismatch(self._size, self._offset + length)
        # What the caller may change, or reuse for its next read, is copied.
        if isinstance(data, memoryview) and isinstance(data.obj, bytes) and data.c_contiguous:
            self._batch.append(data.cast("B"))
        else:
            self._batch.append(data if isinstance(data, bytes) else bytes(data))
        self._offset += length
        self._batch_size += length
        return self._batch_size >= BATCH_SIZE or len(self._batch) >= BATCH_PIECES

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        """Hold the descriptor; after an error of the file system nothing more can be trusted.

        The kernel reports a failed write-back once, and the next fsync succeeds: hence the memory.
        """
        with self._lock:
            if self._closed:
                raise ValueError("the ingest is closed")
            if self._failure is not None:
                raise self._failure
            try:
                yield
            except OSError as error:
                self._failure = error
                raise

    def _drain(self) -> None:
        with self._working():
            self._write_batch()

    def _opened(self) -> StagedFile:
        if self._file is None:
            self._file = self._stage()
        return self._file

    def _resume(self, kept: Callable[[bytes], None] | None) -> None:
        with self._working():
            descriptor = self._opened().descriptor
            if self._size is not None and os.fstat(descriptor).st_size > self._size:
                os.ftruncate(descriptor, 0)
            while piece := os.read(descriptor, BATCH_SIZE):
                self._hash.update(piece)
                self._offset += len(piece)
                if kept is not None:
                    kept(piece)

    def _write_batch(self) -> None:
        batch, self._batch = self._batch, []
        size, self._batch_size = self._batch_size, 0
        descriptor = self._opened().descriptor
        self._await_hash()
        if size >= OVERLAP_SIZE:
            self._hashing = self._threads.hashing.submit(self._hash_batch, batch)
        else:
            self._hash_batch(batch)
        _write_all(descriptor, batch, size)
        self._unflushed += size
        if self._unflushed >= FLUSH_SIZE and (self._flushing is None or self._flushing.done()):
            self._await_flush()
            self._unflushed = 0
            self._flushing = self._threads.flushing.submit(os.fdatasync, descriptor)

    def _hash_batch(self, batch: Sequence[Bytes]) -> None:
        for piece in batch:
            self._hash.update(piece)

    def _await_hash(self) -> None:
        hashing, self._hashing = self._hashing, None
        if hashing is not None:
            hashing.result()

    def _await_flush(self) -> None:
        flushing, self._flushing = self._flushing, None
        if flushing is not None:
            with self._on_disk():
                flushing.result()

    @contextlib.contextmanager
    def _on_disk(self) -> Iterator[None]:
        """Give up a key's bytes if the disk did not take them: the page cache would hide that."""
        try:
            yield
        except OSError:
            self._keep = False
            raise

    def _finish(self) -> Digest:
        if self._digest is not None:
            return self._digest
        self._write_batch()
        self._await_hash()
        if self._size is not None and self._offset != self._size:
            raise SizeMismatch(self._size, self._offset)
        digest = Digest.from_hasher(self._hash)
        if self._expected is not None and digest != self._expected:
            self._keep = False
            raise DigestMismatch(self._expected, digest)
        # Of a blob that is there already, the copy is not worth the wait.
        if not self._blobs.has(digest, self._offset):
            self._sync()
        self._digest = digest
        return digest

    def _sync(self) -> None:
        if not self._synced:
            self._await_flush()
            with self._on_disk():
                os.fsync(self._opened().descriptor)
            self._synced = True

    def _commit(self) -> BlobInfo:
        with self._working():
            digest = self._finish()
            if (info := self._blobs.renew(digest, self._offset)) is None:
                self._sync()
                info = self._blobs.publish(self._opened(), digest)
            self._keep = False
            self._release()
            return info

    def _close(self) -> None:
        with self._lock:
            if self._closed:
                return
            try:
                if self._keep and self._failure is None:
                    # Nobody was promised these, and why they leave is more to be told of: the disk
                    # has a part of them then, which is as good a beginning.
                    with contextlib.suppress(OSError):
                        self._write_batch()
            finally:
                self._release()

    def _release(self) -> None:
        """Close the file, once nothing works on it any more, and remove it unless it is kept."""
        self._closed = True
        self._batch = []
        if self._hashing is not None:
            self._hashing.exception()
        with contextlib.suppress(OSError):
            self._await_flush()
        if self._file is not None:
            try:
                if not self._keep:
                    self._file.remove()
            finally:
                self._file.close()


def _write_all(descriptor: int, batch: Sequence[Bytes], size: int) -> None:
    """Write the `size` bytes of `batch`; the kernel may take fewer at a time."""
    if not size:
        return
    if (written := os.writev(descriptor, batch)) == size:
        return
    for piece in batch:
        if written >= len(piece):
            written -= len(piece)
            continue
        rest = memoryview(piece)[written:]
        written = 0
        while rest:
            rest = rest[os.write(descriptor, rest) :]
