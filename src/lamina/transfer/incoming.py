"""Blobs on their way into the records, and what becomes of them if they do not get there."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from lamina.content.store import BlobStore, BlobWriter
from lamina.oci.digest import Digest
from lamina.records.records import Lease, Records

_AT_ONCE: Final = 16
"""Documents that are written at a time: a disk syncs many about as fast as one."""


class Incoming:
    """Blobs that were stored and are not recorded yet; a lease protects them meanwhile."""

    def __init__(self, blobs: BlobStore, lease: Lease) -> None:
        self.blobs = blobs
        self.lease = lease
        self._stored: set[Digest] = set()

    async def publish(self, writer: BlobWriter, digest: Digest) -> None:
        """Make a blob visible that is written and finished."""
        await self.lease.protect(digest)
        self._stored.add(digest)
        await writer.commit()

    async def store_documents(self, documents: Mapping[Digest, bytes]) -> None:
        """Store small blobs, such as configurations and manifests."""
        await self.lease.protect(*documents)
        self._stored.update(documents)
        waiting = iter(documents.items())
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(_AT_ONCE, len(documents))):
                    group.create_task(self._store(waiting))
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _store(self, waiting: Iterator[tuple[Digest, bytes]]) -> None:
        for digest, raw in waiting:
            async with self.blobs.ingest(expected=digest, size=len(raw)) as writer:
                await writer.write(raw)
                await writer.commit()

    def expect(self, digests: Iterable[Digest]) -> None:
        """Say that somebody else stores these blobs, which the lease protects, for this purpose."""
        self._stored.update(digests)

    def recorded(self, digests: Iterable[Digest]) -> None:
        """Say that these blobs are in the records now."""
        self._stored.difference_update(digests)

    @property
    def unrecorded(self) -> frozenset[Digest]:
        """What was stored for nothing, as it looks now; somebody else may have recorded it."""
        return frozenset(self._stored)


@asynccontextmanager
async def incoming(records: Records, blobs: BlobStore) -> AsyncIterator[Incoming]:
    """Store blobs and record them; those that are not recorded at the end are gone, if unneeded."""
    coming: Incoming | None = None
    try:
        async with records.lease() as lease:
            coming = Incoming(blobs, lease)
            yield coming
    finally:
        if coming is not None and coming.unrecorded:
            await records.sweep(coming.unrecorded)
