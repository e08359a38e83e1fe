"""What the verbs of this room work with."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from lamina.content.store import BlobStore
from lamina.oci.platform import Platform
from lamina.records.configs import ImageConfigs
from lamina.records.records import Records
from lamina.transfer.incoming import Incoming, incoming


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

    def incoming(self) -> AbstractAsyncContextManager[Incoming]:
        """Blobs that are stored to be recorded: see `lamina.transfer.incoming`."""
        return incoming(self.records, self.blobs)
