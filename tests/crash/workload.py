"""Random work on images, the same for the same seed, through any of the interfaces.

`python -m tests.crash.workload ROOT SEED OPERATIONS` does it with the library, to be killed.
"""

import asyncio
import contextlib
import io
import random
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lamina.engine import Engine
from lamina.errors import Conflict, NotFound
from lamina.image_api import ImageApi
from tests.conformance.stock import at, family_archive
from tests.real.archives import docker_archive, oci_layout
from tests.real.images import Image, file, layer, make_image, tar_of

SHARED = layer(file("shared", random.Random(1).randbytes(3 << 20)))
"""Large enough that a kill finds it half written."""

NAMES = tuple(f"crash:{number}" for number in range(5))


@cache
def image(number: int) -> Image:
    """One of a few images that share a large layer."""
    own = layer(file("own", random.Random(number).randbytes(200_000)))
    return make_image(SHARED, own, created=at(number + 1))


@cache
def archives() -> Sequence[bytes]:
    """What is loaded: both forms, compressed and not, several images, a family, no names."""
    return (
        *(tar_of(docker_archive((image(n), [NAMES[n]]))) for n in range(3)),
        tar_of(docker_archive((image(3), [NAMES[3]]), (image(4), []))),
        tar_of(docker_archive((image(1), [NAMES[4]]), compression="gzip")),
        tar_of(oci_layout((image(2), [NAMES[2]]), (image(0), [NAMES[4]]))),
        family_archive(names={"parent": [NAMES[0]]}),
    )


@dataclass(frozen=True)
class Work:
    """Operations drawn at random; those that others made impossible count as done."""

    api: ImageApi
    rng: random.Random

    async def run(self, operations: int) -> None:
        """Do that many, one after the other."""
        for _ in range(operations):
            do = self.rng.choices(
                [self.load, self.tag, self.save, self.delete, self.prune, self.bring_in],
                [5, 4, 2, 3, 1, 1],
            )[0]
            await possible(do)

    async def load(self) -> None:
        await self.api.image_load(io.BytesIO(self.rng.choice(archives())), quiet=True)

    async def tag(self) -> None:
        repo, _, tag = self.rng.choice(NAMES).partition(":")
        await self.api.image_tag(self.rng.choice(NAMES), repo=repo, tag=tag)

    async def save(self) -> None:
        async with self.api.image_get(self.rng.choice(NAMES)) as stream:
            async for _ in stream:
                pass

    async def delete(self) -> None:
        await self.api.image_delete(self.rng.choice(NAMES), force=self.rng.random() < 0.3)

    async def prune(self) -> None:
        await self.api.image_prune(filters={"dangling": self.rng.random() < 0.9})

    async def bring_in(self) -> None:
        data = layer(file("imported", self.rng.randbytes(100_000)))
        await self.api.image_create(
            from_src="-", input_image=io.BytesIO(data), repo=self.rng.choice(NAMES)
        )


async def possible(do: Callable[[], Awaitable[None]]) -> None:
    """Another worker may have taken away what this one names; nothing else may go wrong."""
    with contextlib.suppress(NotFound, Conflict):
        await do()


async def main(root: Path, seed: int, operations: int) -> None:
    """Work on a root with the library, and say when it begins."""
    archives()
    async with Engine.open(root) as engine:
        print("working", flush=True)  # noqa: T201 - whoever started this waits for it
        await Work(engine, random.Random(seed)).run(operations)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
