"""Manifests of images that came without one, or not with one of these blobs. Pure.

`blobs` are those of the image's layers, base first; `config_size` is in bytes.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from lamina.oci import mediatype
from lamina.oci.descriptor import Descriptor
from lamina.oci.digest import Digest
from lamina.oci.manifest import Manifest
from lamina.records.catalogue import LayerBlob

_DOCKER_TYPES: Final = {mediatype.OCI_LAYER_GZIP: mediatype.DOCKER_LAYER_GZIP}


def make_manifest(image_id: Digest, config_size: int, blobs: Sequence[LayerBlob]) -> Manifest:
    """To be pushed: Docker's own kind, which all registries and clients take; zstd needs OCI's."""
    if all(blob.media_type in _DOCKER_TYPES for blob in blobs):
        return _docker_manifest(
            Descriptor(mediatype.DOCKER_CONFIG, image_id, config_size),
            [Descriptor(_DOCKER_TYPES[b.media_type], b.digest, b.size) for b in blobs],
        )
    return make_oci_manifest(image_id, config_size, blobs)


def make_oci_manifest(image_id: Digest, config_size: int, blobs: Sequence[LayerBlob]) -> Manifest:
    """OCI's kind, for an image layout."""
    return Manifest.build(
        Descriptor(mediatype.OCI_CONFIG, image_id, config_size),
        [Descriptor(blob.media_type, blob.digest, blob.size) for blob in blobs],
    )


def _docker_manifest(config: Descriptor, layers: Sequence[Descriptor]) -> Manifest:
    """Written as a dockerd writes it: one that pulls the image and pushes it keeps its digest."""

    def entry(descriptor: Descriptor) -> dict[str, Any]:
        return {
            "mediaType": descriptor.media_type,
            "size": descriptor.size,
            "digest": str(descriptor.digest),
        }

    document = {
        "schemaVersion": 2,
        "mediaType": mediatype.DOCKER_MANIFEST,
        "config": entry(config),
        "layers": [entry(layer) for layer in layers],
    }
    return Manifest.parse(json.dumps(document, indent=3).encode())
