"""`image_inspect` and `image_history`: one image, told in full."""

from typing import Final

import msgspec

from lamina.models import (
    GraphDriverData,
    HistoryResponseItem,
    ImageInspect,
    ImageMetadata,
    RootFS,
)
from lamina.oci.config import ImageConfig
from lamina.oci.digest import Digest
from lamina.oci.history import layers_of_history
from lamina.oci.timestamp import ZERO_UNIX, as_go_prints, format_unix, parse_unix
from lamina.records.catalogue import Catalogue, Image

_GRAPH_DRIVER: Final = "lamina"
"""The name in place of a graph driver's: layers are kept as they came, not unpacked."""
_LINUX: Final = "linux"
"""The system of an image that does not tell for which it is."""


def inspect_image(catalogue: Catalogue, image: Image, config: ImageConfig) -> ImageInspect:
    """Everything known about an image; `config` is its configuration."""
    names = catalogue.names(image.id)
    platform = image.platform
    return ImageInspect(
        id=str(image.id),
        repo_tags=[name.familiar for name in names if name.digest is None],
        repo_digests=[name.familiar for name in names if name.digest is not None],
        parent="" if image.parent is None else str(image.parent),
        comment=config.comment or (config.history[-1].comment if config.history else ""),
        created=as_go_prints(config.created_text),
        container=config.container,
        container_config=config.container_config,
        docker_version=config.docker_version,
        author=config.author,
        config=config.config if config.has_config else None,
        architecture=platform.architecture,
        variant=platform.variant or msgspec.UNSET,
        os=platform.os or _LINUX,
        os_version=config.os_version or msgspec.UNSET,
        size=image.size,
        virtual_size=image.size,
        graph_driver=GraphDriverData(name=_GRAPH_DRIVER),
        root_fs=RootFS(layers=[str(diff_id) for diff_id in image.diff_ids]),
        metadata=ImageMetadata(last_tag_time=format_unix(image.last_tagged)),
    )


def image_history(
    catalogue: Catalogue, image: Image, config: ImageConfig
) -> list[HistoryResponseItem]:
    """The steps of an image, newest first; the IDs of parents that are known here are filled in.

    Raises InvalidManifest where the history has more layers than the root filesystem.
    """
    items = [
        HistoryResponseItem(
            created=_unix_seconds(entry.created_text),
            created_by=entry.created_by,
            comment=entry.comment,
            size=0 if layer is None else catalogue.layers[image.diff_ids[layer]].size,
        )
        for entry, layer in layers_of_history(config.history, config.diff_ids)
    ]
    items.reverse()
    ancestor: Image | None = image
    for item in items:
        if ancestor is None:
            break
        item.id = str(ancestor.id)
        item.tags = _tags(catalogue, ancestor.id)
        ancestor = None if ancestor.parent is None else catalogue.images.get(ancestor.parent)
    return items


def _unix_seconds(text: str) -> int:
    nanoseconds = parse_unix(text)
    return ZERO_UNIX if nanoseconds is None else nanoseconds // 1_000_000_000


def _tags(catalogue: Catalogue, image_id: Digest) -> list[str] | None:
    return [name.familiar for name in catalogue.names(image_id) if name.digest is None] or None
