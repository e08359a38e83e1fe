"""The record of an image, from its configuration and its layers."""

from collections.abc import Sequence
from typing import Final

from lamina.oci.config import ImageConfig
from lamina.oci.digest import Digest
from lamina.oci.timestamp import parse_unix
from lamina.records.catalogue import Image, Layer

MAX_LAYERS: Final = 125
"""As many layers dockerd puts on each other."""

_NEWEST: Final = (1 << 63) - 1
"""The last nanosecond that a database has, in the year 2262; the first one is in 1677."""


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
        created=_created(config),
        size=sum(layer.size for layer in layers),
        platform=config.platform,
        labels=config.config.labels,
        last_tagged=None,
        locally_built=locally_built,
        diff_ids=diff_ids,
        chain_ids=config.chain_ids,
    )


def _created(config: ImageConfig) -> int | None:
    """When it was made, in unix nanoseconds; of other centuries, the end of those that there are.

    It is for lists and their order: the time itself stands in the configuration.
    """
    created = parse_unix(config.created_text)
    return None if created is None else min(max(created, -_NEWEST - 1), _NEWEST)
