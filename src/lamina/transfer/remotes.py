"""What pull and push share beside the engine's parts: registries, and work done once for many."""

from dataclasses import dataclass
from typing import Final

from lamina.oci.digest import Digest
from lamina.records.catalogue import Layer
from lamina.registry.client import RegistryClient
from lamina.transfer.shared import SharedWork

DOWNLOADS: Final = 3
UPLOADS: Final = 5
"""How many layers move at a time, unless configured otherwise: as many as dockerd's."""


@dataclass(frozen=True, slots=True)
class Remotes:
    """The way to all registries, and the transfers that run."""

    registries: RegistryClient
    downloads: SharedWork[Digest, Layer]

    @classmethod
    def make(cls, registries: RegistryClient, *, downloads: int = DOWNLOADS) -> "Remotes":
        """With so many layers at a time."""
        return cls(registries, SharedWork(downloads))
