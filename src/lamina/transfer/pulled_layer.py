"""One layer out of a registry: verified while it comes, taken up again where it broke off.

The bytes lie in an ingest under the blob's digest until they are complete, so that a later attempt,
be it of another process, goes on with what is there. What an earlier attempt has left is read once,
for its digest and for the scan.
"""

import asyncio
from concurrent.futures import Executor
from functools import partial
from typing import Final

from lamina.content.store import BlobStore, BlobWriter
from lamina.content.threads import run_to_end
from lamina.errors import (
    Conflict,
    CorruptData,
    DigestMismatch,
    InvalidLayer,
    UnsupportedMediaType,
)
from lamina.layers.scan import LayerScan, ScannedLayer
from lamina.oci.descriptor import Descriptor
from lamina.oci.digest import Digest
from lamina.progress import LayerProgress
from lamina.records.catalogue import Layer, LayerBlob
from lamina.registry.repository import Repository
from lamina.transfer.layer_intake import MEDIA_TYPES
from lamina.transfer.shared import Meter, Tell, counted_down

_BATCH: Final = 1 << 20
"""Bytes that are handed to a thread at once."""


async def pull_layer(
    blobs: BlobStore,
    repository: Repository,
    descriptor: Descriptor,
    tell: Tell,
    *,
    hashing: Executor | None = None,
) -> Layer:
    """Download a layer's blob and publish it; the caller has protected it by a lease.

    Raises CorruptData (not what its digest says, or no layer), and as `Repository.download` does.
    """
    for is_last in (False, True):
        try:
            return await _attempt(blobs, repository, descriptor, tell, hashing)
        except DigestMismatch as error:
            # Something on the way, or on this disk, may have been at fault.
            if is_last:
                raise CorruptData(
                    f"filesystem layer verification failed for digest {descriptor.digest}"
                ) from error
    raise AssertionError("unreachable")


async def _attempt(
    blobs: BlobStore,
    repository: Repository,
    descriptor: Descriptor,
    tell: Tell,
    hashing: Executor | None,
) -> Layer:
    digest, size = descriptor.digest, descriptor.size
    scan = _Scan(digest, hashing)
    try:
        ingest = blobs.ingest(str(digest), expected=digest, size=size, kept=scan.feed)
        writer = await ingest.__aenter__()
    except Conflict:
        # Another process is at it. What this one gets then cannot be taken up again.
        scan = _Scan(digest, hashing)
        ingest = blobs.ingest(expected=digest, size=size)
        writer = await ingest.__aenter__()
    try:
        return await _receive(writer, scan, repository, descriptor, tell)
    finally:
        await ingest.__aexit__(None, None, None)


async def _receive(
    writer: BlobWriter,
    scan: "_Scan",
    repository: Repository,
    descriptor: Descriptor,
    tell: Tell,
) -> Layer:
    name, size = descriptor.digest.short, descriptor.size
    sink = _Sink(writer, scan, Meter(tell, name, "Downloading", size))
    try:
        await repository.download(descriptor.digest, size, sink, waiting=counted_down(tell, name))
    finally:
        await sink.flush()
    tell(LayerProgress(name, "Verifying Checksum"))
    found = await run_to_end(partial(scan.finish, writer))
    await writer.commit()
    tell(LayerProgress(name, "Download complete"))
    blob = LayerBlob(descriptor.digest, MEDIA_TYPES[found.compression], size)
    return Layer(found.diff_id, found.unpacked_size, found.size, (blob,))


class _Scan:
    """Looks at a layer's bytes in a worker thread; errors wait until the digest is known.

    What is wrong inside of a blob matters only if the blob is the one that was asked for.
    """

    def __init__(self, digest: Digest, hashing: Executor | None) -> None:
        # A blob's own digest is its diff ID if it is plain, and of the algorithm of those.
        self._scan = LayerScan(hash_plain=digest.algorithm != "sha256", hashing=hashing)
        self._error: InvalidLayer | None = None

    def feed(self, data: bytes) -> None:
        if self._error is None:
            try:
                self._scan.feed(data)
            except InvalidLayer as error:
                self._error = error

    def finish(self, writer: BlobWriter) -> ScannedLayer:
        """Verify the blob. Raises DigestMismatch, and then InvalidLayer and its like."""
        digest = writer.finish_sync()
        try:
            if self._error is not None:
                raise self._error
            found = self._scan.finish(blob_digest=digest)
        except InvalidLayer as error:
            raise InvalidLayer(f"failed to register layer: {error}") from error
        if found.compression not in MEDIA_TYPES:
            raise UnsupportedMediaType(f"layers compressed with {found.compression} have no type")
        return found


class _Sink:
    """Where the download goes: into a thread which writes and scans while more is received."""

    def __init__(
        self, writer: BlobWriter, scan: _Scan, meter: Meter, executor: Executor | None = None
    ) -> None:
        self._writer = writer
        self._scan = scan
        self._meter = meter
        self._executor = executor
        self._offset = writer.offset
        self._batch: list[bytes] = []
        self._batch_size = 0
        self._working: asyncio.Future[None] | None = None

    @property
    def offset(self) -> int:
        """Bytes received, those of earlier attempts included."""
        return self._offset

    async def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self._batch.append(data)
        self._batch_size += len(data)
        self._offset += len(data)
        if self._batch_size >= _BATCH:
            await self._hand_over()
        self._meter(self._offset)

    async def flush(self) -> None:
        """Return when everything was written; raises what writing raised."""
        await self._hand_over()
        await self._written()

    async def _hand_over(self) -> None:
        await self._written()
        batch, self._batch, self._batch_size = self._batch, [], 0
        loop = asyncio.get_running_loop()
        self._working = loop.run_in_executor(self._executor, self._work, batch)

    def _work(self, batch: list[bytes]) -> None:
        for data in batch:
            self._writer.write_sync(data)
            self._scan.feed(data)

    async def _written(self) -> None:
        """Wait for the thread, even if cancelled meanwhile: it uses what the caller would close."""
        working, self._working = self._working, None
        if working is None:
            return
        cancelled: asyncio.CancelledError | None = None
        while not working.done():
            try:
                await asyncio.wait({working})
            except asyncio.CancelledError as error:
                cancelled = error
        failure = working.exception()
        if cancelled is not None:
            raise cancelled
        if failure is not None:
            raise failure
