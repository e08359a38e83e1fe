"""Images for a registry, with layers as large as a test needs them."""

import io
import random

from lamina.engine import Engine
from lamina.oci.digest import Digest
from tests.real.archives import docker_archive
from tests.real.images import Image, file, layer, make_image, tar_of


def image_of(*sizes: int, seed: str) -> Image:
    """An image with layers of so many bytes that no compression makes smaller."""
    chance = random.Random(seed)
    return make_image(
        *[layer(file(f"data{n}", chance.randbytes(size))) for n, size in enumerate(sizes)]
    )


async def put_image(engine: Engine, image: Image, name: str) -> Digest:
    """Load an image and push it; the digest of its manifest."""
    await engine.image_load(io.BytesIO(tar_of(docker_archive((image, [name])))), quiet=True)
    digests = await engine.image_push(name)
    (digest,) = digests.values()
    return Digest.parse(digest)


async def contents(engine: Engine, name: str) -> bytes:
    """An image as it is saved."""
    async with engine.image_get(name) as stream:
        return b"".join([chunk async for chunk in stream])
