"""kill -9 of a daemon with which clients run containers: its next start leaves nothing of them."""

import asyncio
import contextlib
import os
import random
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiodocker
import aiohttp
import pytest
from aiodocker.containers import DockerContainer

from lamina.engine import Engine
from tests.conformance.wire import load
from tests.real.archives import docker_archive
from tests.real.images import busybox_image, tar_of
from tests.real.lamina_daemon import LaminaDaemon
from tests.real.remains import (
    assert_all_can_be_pruned,
    assert_nothing_is_left,
    monitors_of,
    processes_with,
    wait_until_gone,
)
from tests.unit.layers.trees import needs_root

pytestmark = needs_root

IMAGE = "busybox:crash"
ROUNDS = 7
CONTAINERS = 30
"""How many are made in a round before the kill."""
WORKERS = 6
LONGEST = 0.2
"""Seconds until the kill, once so many are made: any step of a life may be hit."""


@pytest.fixture
def daemon() -> Iterator[LaminaDaemon]:
    """A daemon to kill and start again on the same root."""
    with tempfile.TemporaryDirectory(prefix="lamina-crash-") as directory:
        killed = LaminaDaemon(Path(directory))
        killed.start()
        load(killed.socket, tar_of(docker_archive((busybox_image(), [IMAGE]))))
        yield killed
        killed.stop()


class Lives:
    """Containers that come and go; `made` has the IDs of all that there ever were."""

    def __init__(self, mark: str) -> None:
        self.mark = mark
        self.made: set[str] = set()
        self._enough = asyncio.Event()
        self._wanted = 0

    async def until_made(self, more: int) -> None:
        """Wait until so many more have been made."""
        self._wanted = len(self.made) + more
        self._enough.clear()
        await self._enough.wait()

    async def live(self, docker: aiodocker.Docker, rng: random.Random) -> None:
        """One life after the other, until the daemon is gone."""
        while True:
            container = await docker.containers.create(self._config(rng))
            self.made.add(container.id)
            if len(self.made) >= self._wanted:
                self._enough.set()
            try:
                await container.start()
                await self._meddle(container, rng)
            except aiodocker.DockerError as error:
                # It has ended before, and is perhaps gone.
                if error.status not in {304, 404, 409}:
                    raise

    def _config(self, rng: random.Random) -> dict[str, Any]:
        script = f"echo begun; sleep {rng.choice((0, 0.05, 1000))}; true"
        return {
            "Image": IMAGE,
            "Cmd": ["sh", "-c", script, self.mark],
            "Volumes": {"/data": {}},
            "HostConfig": {"NetworkMode": "none", "AutoRemove": rng.random() < 0.3},
        }

    async def _meddle(self, container: DockerContainer, rng: random.Random) -> None:
        match rng.randrange(8):
            case 0:
                run = await container.exec(["sleep", "1000", self.mark])
                await run.start(detach=True)
            case 1:
                await container.stop(t=0)
            case 2:
                await container.kill()
            case 3:
                await container.delete(force=True, v=True)
            case 4:
                await container.pause()
            case 5:
                await container.restart(t=0)
            case 6:
                await container.commit(repository="crash-committed")
            case _:
                pass


async def test_nothing_is_left_of_a_killed_daemons_containers(daemon: LaminaDaemon) -> None:
    lives = Lives(uuid4().hex)
    for seed in range(ROUNDS):
        rng = random.Random(seed)
        async with aiodocker.Docker(url=daemon.host) as docker:
            workers = [
                asyncio.create_task(lives.live(docker, random.Random(seed * 100 + number)))
                for number in range(WORKERS)
            ]
            enough = asyncio.create_task(lives.until_made(CONTAINERS))
            done, _ = await asyncio.wait({enough, *workers}, return_when=asyncio.FIRST_COMPLETED)
            assert [task.exception() for task in done] == [None]
            done, _ = await asyncio.wait(workers, timeout=rng.uniform(0, LONGEST))
            assert [task.exception() for task in done] == []
            monitors = monitors_of(daemon.pid)
            daemon.kill()
            if seed % 2:
                # The monitor too, as when all that a service runs is killed.
                for monitor in monitors:
                    os.kill(monitor, signal.SIGKILL)
            for worker in workers:
                with contextlib.suppress(aiohttp.ClientError, aiodocker.DockerError):
                    await worker
        await asyncio.to_thread(wait_until_gone, daemon.root)
        daemon.start()
        async with Engine.open(daemon.root) as engine:
            assert processes_with(lives.mark) == []
            await assert_nothing_is_left(engine, daemon.root, lives.made)
            if seed == ROUNDS - 1:
                await assert_all_can_be_pruned(engine, daemon.root, lives.made)
    assert len(lives.made) >= 200
