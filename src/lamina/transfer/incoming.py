"""Blobs on their way into the records, and what becomes of them if they do not get there."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

from lamina.content.store import BlobStore, BlobWriter
from lamina.oci.digest import Digest
from lamina.records.records import Lease, Records


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
        for digest, raw in documents.items():
            self._stored.add(digest)
            async with self.blobs.ingest(expected=digest, size=len(raw)) as writer:
                await writer.write(raw)
                await writer.commit()

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
