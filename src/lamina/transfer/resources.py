"""What the verbs of this room work with."""

from collections.abc import Callable
from dataclasses import dataclass

from lamina.content.store import BlobStore
from lamina.oci.digest import Digest
from lamina.oci.platform import Platform
from lamina.records.configs import ImageConfigs
from lamina.records.records import Lease, Records


@dataclass(frozen=True, slots=True)
class Resources:
    """The engine's parts, as a transfer needs them."""

    blobs: BlobStore
    records: Records
    configs: ImageConfigs
    platform: Platform
    """The host's."""
    now: Callable[[], int]
    """Unix nanoseconds."""

    async def store_document(self, lease: Lease, raw: bytes) -> Digest:
        """Keep a small blob, such as a configuration or a manifest, under `lease`."""
        digest = Digest.of(raw)
        await lease.protect(digest)
        async with self.blobs.ingest(expected=digest, size=len(raw)) as writer:
            await writer.write(raw)
            await writer.commit()
        return digest
