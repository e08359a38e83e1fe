"""Image configurations, parsed once and remembered."""

from collections import OrderedDict

from lamina.content.store import BlobStore
from lamina.oci.config import ImageConfig
from lamina.oci.digest import Digest

MAX_CONFIG_SIZE = 8 << 20
"""Bytes; a larger configuration is refused when it comes in."""


class ImageConfigs:
    """Configurations by image ID; those used last are kept, up to `capacity` bytes of JSON."""

    def __init__(self, blobs: BlobStore, *, capacity: int = 16 << 20) -> None:
        self._blobs = blobs
        self._capacity = capacity
        self._held = 0
        self._parsed: OrderedDict[Digest, ImageConfig] = OrderedDict()

    async def get(self, image_id: Digest) -> ImageConfig:
        """The configuration of an image. Raises BlobNotFound, CorruptData."""
        config = self._parsed.get(image_id)
        if config is not None:
            self._parsed.move_to_end(image_id)
            return config
        config = ImageConfig.parse(await self._blobs.read_bytes(image_id, limit=MAX_CONFIG_SIZE))
        self._keep(image_id, config)
        return config

    def _keep(self, image_id: Digest, config: ImageConfig) -> None:
        if image_id in self._parsed:
            return
        self._parsed[image_id] = config
        self._held += len(config.raw)
        while self._held > self._capacity:
            _, dropped = self._parsed.popitem(last=False)
            self._held -= len(dropped.raw)
