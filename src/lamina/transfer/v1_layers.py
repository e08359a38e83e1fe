"""The directories per layer of the oldest archive format, as dockerd still writes them.

Each layer gets an ID that depends on its content and everything below it, so the same image has the
same directories wherever it is saved.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from lamina.oci import jsontext
from lamina.oci.config import ContainerConfig, ImageConfig
from lamina.oci.digest import Digest
from lamina.oci.timestamp import ZERO, as_go_prints
from lamina.records.catalogue import LayerBlob

VERSION: Final = b"1.0"
_LOWER_CREATED: Final = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class V1Layer:
    """A layer's directory: its name, its ``json``, and the blob that is its ``layer.tar``."""

    id: str
    json: bytes
    blob: LayerBlob


class V1Image(msgspec.Struct, omit_defaults=True):
    """dockerd's ``V1Image``, the ``json`` of a layer's directory, its keys in its order."""

    id: str = ""
    parent: str = ""
    comment: str = ""
    created: str = msgspec.field(default_factory=lambda: ZERO)
    container: str = ""
    container_config: ContainerConfig = msgspec.field(default_factory=ContainerConfig)
    docker_version: str = ""
    author: str = ""
    config: ContainerConfig | None = None
    architecture: str = ""
    variant: str = ""
    os: str = ""


def v1_layers(config: ImageConfig, blobs: Sequence[LayerBlob]) -> list[V1Layer]:
    """The directories of an image's layers, base first; `blobs` are those of its diff IDs."""
    layers: list[V1Layer] = []
    parent = ""
    for position, (chain_id, blob) in enumerate(zip(config.chain_ids, blobs, strict=True)):
        is_top = position == len(blobs) - 1
        image = _top(config) if is_top else V1Image(created=_LOWER_CREATED)
        image_id = _v1_id(image, chain_id, parent)
        image.id, image.parent, image.os = image_id, parent, config.os
        layers.append(V1Layer(image_id, jsontext.encode(image), blob))
        parent = image_id
    return layers


def _top(config: ImageConfig) -> V1Image:
    return V1Image(
        comment=config.comment,
        created=as_go_prints(config.created_text),
        container=config.container,
        container_config=config.container_config,
        docker_version=config.docker_version,
        author=config.author,
        config=config.config if config.has_config else None,
        architecture=config.architecture,
        variant=config.variant,
        os=config.os,
    )


def _v1_id(image: V1Image, chain_id: Digest, parent: str) -> str:
    values: dict[str, Any] = msgspec.json.decode(
        jsontext.encode(image), type=dict[str, msgspec.Raw]
    )
    values["layer_id"] = str(chain_id)
    if parent:
        values["parent"] = f"sha256:{parent}"
    return Digest.of(msgspec.json.encode(values, order="deterministic")).hex
