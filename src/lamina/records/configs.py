"""Image configurations, parsed once and remembered."""

from collections import OrderedDict

from lamina.content.store import BlobStore
from lamina.errors import InvalidParameter
from lamina.oci.config import ImageConfig
from lamina.oci.digest import Digest

MAX_CONFIG_SIZE = 8 << 20
"""Bytes; a larger configuration is refused when it comes in."""

_MEMBER_COST = 128
"""Bytes of memory, about, that a member of a parsed list or mapping takes beside its text."""


def readable(config: ImageConfig) -> ImageConfig:
    """A configuration that was made here. Raises InvalidParameter if nobody could read it."""
    if len(config.raw) > MAX_CONFIG_SIZE:
        raise InvalidParameter(f"image configuration is larger than {MAX_CONFIG_SIZE} bytes")
    return config


class ImageConfigs:
    """Configurations by image ID; those used last are kept, in about `capacity` bytes."""

    def __init__(self, blobs: BlobStore, *, capacity: int = 32 << 20) -> None:
        self._blobs = blobs
        self._capacity = capacity
        self._held = 0
        self._parsed: OrderedDict[Digest, ImageConfig] = OrderedDict()

    def cached(self, image_id: Digest) -> ImageConfig | None:
        """The configuration of an image, if it is remembered."""
        config = self._parsed.get(image_id)
        if config is not None:
            self._parsed.move_to_end(image_id)
        return config

    async def get(self, image_id: Digest) -> ImageConfig:
        """The configuration of an image. Raises BlobNotFound, CorruptData."""
        config = self.cached(image_id)
        if config is None:
            raw = await self._blobs.read_bytes(image_id, limit=MAX_CONFIG_SIZE)
            config = ImageConfig.parse(raw)
            self._keep(image_id, config)
        return config

    def _keep(self, image_id: Digest, config: ImageConfig) -> None:
        if image_id in self._parsed:
            return
        self._parsed[image_id] = config
        self._held += _cost(config)
        # One is kept in any case: who asked for it is about to use it.
        while self._held > self._capacity and len(self._parsed) > 1:
            _, dropped = self._parsed.popitem(last=False)
            self._held -= _cost(dropped)


def _cost(config: ImageConfig) -> int:
    """Bytes of memory, about: a small text may be parsed to a large value."""
    raw = config.raw
    return len(raw) + _MEMBER_COST * (raw.count(b",") + raw.count(b":"))
