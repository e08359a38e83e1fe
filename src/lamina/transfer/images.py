"""The record of an image, from its configuration and its layers."""

from collections.abc import Sequence

from lamina.oci.config import ImageConfig
from lamina.oci.digest import Digest
from lamina.oci.timestamp import parse_unix
from lamina.records.catalogue import Image, Layer


def image_record(
    config: ImageConfig,
    layers: Sequence[Layer],
    *,
    parent: Digest | None = None,
    locally_built: bool = False,
) -> Image:
    """What the records keep of an image; `layers` are those of its diff IDs, in order."""
    diff_ids = tuple(layer.diff_id for layer in layers)
    return Image(
        id=config.digest,
        parent=parent,
        created=parse_unix(config.created_text),
        size=sum(layer.size for layer in layers),
        platform=config.platform,
        labels=config.config.labels,
        last_tagged=None,
        locally_built=locally_built,
        diff_ids=diff_ids,
        chain_ids=config.chain_ids,
    )
