"""Builds side by side, the same few again and again, until this process is killed.

`python -m tests.crash.build_workload ROOT SEED WORKERS MARK REGISTRY` does it with the library.
MARK is an argument of every command of a RUN, by which its process can be told from others;
REGISTRY has `crash/base:N` for every recipe.
"""

import asyncio
import hashlib
import io
import random
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lamina.engine import Engine
from lamina.image_api import ImageApi
from tests.crash.workload import possible
from tests.real.archives import docker_archive
from tests.real.images import (
    Entry,
    Image,
    busybox_image,
    busybox_rootfs,
    file,
    gzipped,
    layer,
    make_image,
    tar_of,
)
from tests.unit.engine.sources import load

IMAGE = "busybox:crash"
RECIPES = 4
SEEDS = 400
"""Files that a cache begins with: enough that a kill finds some of them there."""
CHECK = f"[ $(ls /seeded | wc -l) = {SEEDS} ] || exit 3"


def base(number: int) -> Image:
    """What a recipe's FROM pulls: busybox, and a layer that takes a while to come."""
    own = layer(file(f"base-{number}", random.Random(number).randbytes(1 << 20)))
    return make_image(busybox_rootfs(), own)


def context(number: int) -> list[Entry]:
    """The files that a recipe is built of."""
    return [
        file("big", random.Random(number).randbytes(1 << 20)),
        file("packed.tar.gz", gzipped(layer(file("unpacked", f"{number}")))),
        *(file(f"seed/{n}", f"{n}") for n in range(SEEDS)),
    ]


@dataclass(frozen=True)
class Builds:
    """Builds through an API, which may be killed at any moment."""

    api: ImageApi
    mark: str
    registry: str

    def dockerfile(self, number: int) -> str:
        """Of every kind of step something; what comes of it is in `FILES`."""
        shell, end = '["sh", "-c", "', f'", "{self.mark}"]'
        sharing = ("shared", "private", "locked")[number % 3]
        return f"""FROM {IMAGE} AS one
COPY big /big
RUN --mount=type=cache,id=kept,target=/c,sharing={sharing} \\
    --mount=type=secret,id=s {shell}echo begun; sleep 0.0{number}; echo {number} > /c/{number};\\
 md5sum < /big > /one{end}
FROM {self.registry}/crash/base:{number} AS two
RUN --mount=target=/from --mount=type=tmpfs,target=/t {shell}sleep 0.0{number};\\
 md5sum < /from/big > /two; cp /base-{number} /base{end}
FROM {IMAGE} AS seed
COPY seed /seed
FROM one
RUN --mount=type=cache,id=seeded-{number},from=seed,source=/seed,target=/seeded {shell}{CHECK};\\
 echo {number} > /three{end}
COPY --from=two /two /base /
ADD packed.tar.gz /
WORKDIR /made/here
LABEL recipe={number}
"""

    @staticmethod
    def made_by(number: int) -> dict[str, bytes]:
        """What is to come of a recipe, of the files that no other image has."""
        files = {entry.path: entry.data for entry in context(number)}
        digest = f"{hashlib.md5(files['big'], usedforsecurity=False).hexdigest()}  -\n".encode()
        return {
            "big": files["big"],
            "one": digest,
            "two": digest,
            "three": f"{number}\n".encode(),
            "base": random.Random(number).randbytes(1 << 20),
            "unpacked": f"{number}".encode(),
        }

    async def build(self, number: int, **parameters: Any) -> str:  # noqa: ANN401 - as of the API
        """Build one recipe; the image's ID."""
        files = layer(*context(number), file("Dockerfile", self.dockerfile(number)))
        return await self.api.image_build(
            input_stream=io.BytesIO(files), t=[f"crash-built:{number}"], **parameters
        )

    async def work(self, rng: random.Random) -> None:
        """One build after the other; now and then what cache mounts have goes."""
        while True:
            await self.build(rng.randrange(RECIPES), nocache=rng.random() < 0.5)
            if rng.randrange(4) == 0:
                await self.api.build_prune(all=True)

    async def work_and_forget(self, rng: random.Random) -> None:
        """The same, and what others build may be taken from below them."""
        while True:
            number, nocache = rng.randrange(RECIPES), rng.random() < 0.5
            await possible(partial(self._build, number, nocache=nocache))
            match rng.randrange(6):
                case 0:
                    await possible(partial(self._forget, rng.randrange(RECIPES)))
                case 1:
                    await self.api.image_prune()
                case 2:
                    await self.api.build_prune(all=True)
                case _:
                    pass

    async def _build(self, number: int, *, nocache: bool) -> None:
        await self.build(number, nocache=nocache, secrets={"s": self.mark.encode()})

    async def _forget(self, number: int) -> None:
        await self.api.image_delete(f"crash-built:{number}", force=True)
        await self.api.image_delete(f"{self.registry}/crash/base:{number}", force=True)


async def main(root: Path, seed: int, workers: int, mark: str, registry: str) -> None:
    async with Engine.open(root) as engine:
        if not await engine.image_list(filters={"reference": IMAGE}):
            await load(engine, tar_of(docker_archive((busybox_image(), [IMAGE]))))
        print("working", flush=True)  # noqa: T201 - for who waits to kill
        builds = Builds(engine, mark, registry)
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                rng = random.Random(seed * 100 + number)
                group.create_task(builds.work_and_forget(rng))


if __name__ == "__main__":
    _, *words = sys.argv
    asyncio.run(main(Path(words[0]), int(words[1]), int(words[2]), words[3], words[4]))
