"""Containers that come and go, until this process is killed.

`python -m tests.crash.container_workload ROOT SEED WORKERS MARK`; MARK is an argument of every
command in a container, by which its process can be told from others.
"""

import asyncio
import contextlib
import random
import sys
from pathlib import Path

from lamina.engine import Engine
from lamina.errors import LaminaError
from lamina.models import ExecConfig, HostConfig
from lamina.oci.containerconfig import ContainerConfig
from tests.real.archives import docker_archive
from tests.real.images import busybox_image, tar_of
from tests.unit.engine.sources import load

IMAGE = "busybox:crash"


async def work(engine: Engine, rng: random.Random, mark: str) -> None:
    """One container after the other: some end, some are left running, some go."""
    while True:
        command = ("sh", "-c", f"echo begun; sleep {rng.choice((0, 0.05, 1000))}; true", mark)
        made = await engine.container_create(
            ContainerConfig(image=IMAGE, cmd=command, volumes={"/data": {}}),
            host_config=HostConfig(auto_remove=rng.random() < 0.3),
        )
        with contextlib.suppress(LaminaError):
            await engine.container_start(made.id)
            match rng.randrange(6):
                case 0:
                    run = await engine.container_exec(
                        made.id, ExecConfig(cmd=("sleep", "1000"), attach_stdout=True)
                    )
                    async with engine.exec_start(run.id, detach=True):
                        pass
                case 1:
                    await engine.container_stop(made.id, t=0)
                case 2:
                    await engine.container_delete(made.id, force=True, v=True)
                case 3:
                    await engine.container_pause(made.id)
                case 4:
                    await engine.image_commit(made.id, repo="crash-committed")
                case _:
                    pass


async def main(root: Path, seed: int, workers: int, mark: str) -> None:
    async with Engine.open(root) as engine:
        if not await engine.image_list(filters={"reference": IMAGE}):
            await load(engine, tar_of(docker_archive((busybox_image(), [IMAGE]))))
        print("working", flush=True)  # noqa: T201 - for who waits to kill
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(work(engine, random.Random(seed * 100 + number), mark))


if __name__ == "__main__":
    _, *arguments = sys.argv
    asyncio.run(main(Path(arguments[0]), int(arguments[1]), int(arguments[2]), arguments[3]))
