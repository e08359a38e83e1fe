"""What pull and push share beside the engine's parts: registries, and work done once for many."""

import os
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from lamina.layers.compression import Compression
from lamina.oci.digest import Digest
from lamina.records.catalogue import Layer, LayerBlob
from lamina.registry.client import RegistryClient
from lamina.registry.transport import Transport
from lamina.transfer.shared import SharedWork

DOWNLOADS: Final = 3
UPLOADS: Final = 5
"""How many layers move at a time, unless configured otherwise: as many as dockerd's."""


@dataclass(frozen=True, slots=True)
class Remotes:
    """The way to all registries, and the transfers that run."""

    registries: RegistryClient
    downloads: SharedWork[Digest, Layer]
    uploads: SharedWork[tuple[str, Digest], LayerBlob]
    compressions: SharedWork[Digest, LayerBlob]
    hashing: Executor
    compression: Compression
    """What layers are compressed with that are here uncompressed: gzip, or zstd."""

    @property
    def transport(self) -> Transport:
        """The way to whatever is named by a URL."""
        return self.registries.tools.transport

    @classmethod
    def make(
        cls,
        registries: RegistryClient,
        *,
        downloads: int = DOWNLOADS,
        uploads: int = UPLOADS,
        compression: Compression = Compression.GZIP,
    ) -> "Remotes":
        """With so many layers at a time."""
        processors = len(os.sched_getaffinity(0))
        return cls(
            registries,
            SharedWork(downloads),
            SharedWork(uploads),
            SharedWork(processors),
            ThreadPoolExecutor(processors, thread_name_prefix="layer-hash"),
            compression,
        )
