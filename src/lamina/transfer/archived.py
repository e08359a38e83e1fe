"""The images of an archive, found among its members."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lamina.errors import InvalidArchive
from lamina.oci.config import ImageConfig
from lamina.oci.digest import Digest
from lamina.oci.index import Index
from lamina.oci.manifest import Manifest
from lamina.oci.reference import Reference
from lamina.transfer.images import MAX_LAYERS
from lamina.transfer.members import Members

_LINUX: Final = "linux"
_MAX_IMAGES: Final = 10_000


@dataclass(frozen=True, slots=True)
class ArchivedImage:
    """An image as an archive describes it: `layers` are paths of members, base layer first."""

    config: ImageConfig
    layers: tuple[str, ...]
    names: tuple[Reference, ...] = ()
    parent: Digest | None = None
    """The image it was built on, if the archive says so."""

    def check(self) -> None:
        """Raise InvalidArchive if the parts do not fit together."""
        config = self.config
        if config.os not in ("", _LINUX):
            raise InvalidArchive(f"cannot load {config.os} image on {_LINUX}")
        if len(self.layers) != len(config.diff_ids):
            raise InvalidArchive(
                "invalid manifest, layers length mismatch:"
                f" expected {len(self.layers)}, got {len(config.diff_ids)}"
            )
        if len(self.layers) > MAX_LAYERS:
            raise InvalidArchive("max depth exceeded")
        if sum(not entry.empty_layer for entry in config.history) > len(config.diff_ids):
            raise InvalidArchive("too many non-empty layers in History section")


@dataclass(frozen=True, slots=True)
class ArchivedImages:
    """All that an archive holds: images, and the manifests they came with."""

    images: tuple[ArchivedImage, ...]
    manifests: Mapping[Digest, Manifest | Index] = field(default_factory=dict)
    targets: Mapping[Reference, Digest] = field(default_factory=dict)
    """The manifest or index that a name stands for, where the archive has one."""
    is_legacy: bool = False
    """Of the oldest format, in which every directory is a layer and an image."""

    def check(self) -> None:
        """Raise InvalidArchive if there are too many images, or one of them is not sound."""
        if len(self.images) > _MAX_IMAGES:
            raise InvalidArchive(f"invalid archive: more than {_MAX_IMAGES} images")
        for image in self.images:
            image.check()


class Configs:
    """The configurations in an archive by path, each parsed once however often it is named."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._parsed: dict[str, ImageConfig] = {}

    def get(self, path: str) -> ImageConfig:
        """The configuration at `path`. Raises InvalidArchive, InvalidManifest."""
        config = self._parsed.get(path)
        if config is None:
            raw = self._members.document(path)
            if raw is None:
                raise InvalidArchive(f"open {path}: no such file or directory")
            config = self._parsed[path] = ImageConfig.parse(raw)
        return config
