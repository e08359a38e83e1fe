"""Media types of manifests, configurations and layers, OCI's and Docker's."""

from typing import Final

OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD: Final = "application/vnd.oci.image.layer.v1.tar+zstd"

DOCKER_INDEX: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_FOREIGN_LAYER_GZIP: Final = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

DOCKER_SCHEMA1: Final = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED: Final = "application/vnd.docker.distribution.manifest.v1+prettyjws"

_MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
_INDEXES = frozenset({OCI_INDEX, DOCKER_INDEX})
_SCHEMA1 = frozenset({DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED})
_CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})

_OCI_FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar"
_LAYER_SUFFIXES: Final = {
    OCI_LAYER: ("", "+gzip", "+zstd"),
    _OCI_FOREIGN: ("", "+gzip", "+zstd"),
    DOCKER_LAYER: ("", ".gzip", ".zstd"),
    "application/vnd.docker.image.rootfs.foreign.diff.tar": ("", ".gzip"),
}
_LAYERS = frozenset(
    stem + suffix for stem, suffixes in _LAYER_SUFFIXES.items() for suffix in suffixes
)


def is_manifest(media_type: str) -> bool:
    """Whether this is one image's manifest, of a schema that is taken."""
    return media_type in _MANIFESTS


def is_index(media_type: str) -> bool:
    """Whether this is an OCI index or a Docker manifest list."""
    return media_type in _INDEXES


def is_schema1(media_type: str) -> bool:
    """Whether this is a Docker manifest of schema 1, which is refused everywhere."""
    return media_type in _SCHEMA1


def is_config(media_type: str) -> bool:
    """Whether this is an image's configuration, rather than that of some other artifact."""
    return media_type in _CONFIGS


def is_layer(media_type: str) -> bool:
    """Whether this is a root filesystem layer, foreign ones included."""
    return media_type in _LAYERS


def is_foreign_layer(media_type: str) -> bool:
    """Whether registries need not hold this layer: its descriptor's URLs do."""
    return is_layer(media_type) and (
        ".nondistributable." in media_type or ".foreign." in media_type
    )
