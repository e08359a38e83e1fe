"""kill -9 at random moments: after a restart every listed image is whole, and a prune tidies up.

LAMINA_CRASH_ITERATIONS sets how often; each failure names the seed that repeats it.
"""

import asyncio
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.client import Client
from lamina.engine import Engine
from lamina.errors import LaminaError
from lamina.image_api import ImageApi
from tests.crash.wholeness import assert_all_can_go, assert_nothing_else, assert_whole
from tests.crash.workload import Work, archives
from tests.real.checkout import SOURCE, environment
from tests.real.lamina_daemon import LaminaDaemon

ITERATIONS = int(os.environ.get("LAMINA_CRASH_ITERATIONS", "10"))
LONGEST = 0.6
"""Seconds of work before the kill: enough for several operations, so that any may be hit."""


@pytest.fixture(scope="module")
def daemon() -> Iterator[LaminaDaemon]:
    """A daemon to kill and start again on the same root."""
    archives()
    with tempfile.TemporaryDirectory(prefix="lamina-crash-") as directory:
        killed = LaminaDaemon(Path(directory))
        yield killed


@pytest.mark.parametrize("seed", range(ITERATIONS))
async def test_a_killed_daemon(
    daemon: LaminaDaemon, seed: int, request: pytest.FixtureRequest
) -> None:
    rng = random.Random(seed)
    daemon.start()
    request.addfinalizer(daemon.kill)
    async with Client.connect(daemon.host) as client:
        workers = [
            asyncio.create_task(Work(client, random.Random(seed * 10 + n)).run(1000))
            for n in range(2)
        ]
        done, _ = await asyncio.wait(workers, timeout=rng.uniform(0.005, LONGEST))
        # None may have failed before the kill; after it all do.
        assert [worker.exception() for worker in done] == []
        daemon.kill()
        ends = await asyncio.gather(*workers, return_exceptions=True)
        assert all(isinstance(end, LaminaError) for end in ends), ends
    daemon.start()
    async with Client.connect(daemon.host) as client:
        before = await assert_whole(client)
        await assert_nothing_else(client, daemon.root)
        after = await assert_whole(client)
        assert after <= before
        if seed % 4 == 3:
            await assert_all_can_go(client, daemon.root)


def start_library(root: Path, seed: int, operations: int = 1000) -> subprocess.Popen[bytes]:
    """A process that works on a root with the library; it has begun when this returns."""
    here = SOURCE.parent
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.crash.workload", str(root), str(seed), str(operations)],
        cwd=here,
        env=environment(here),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"working\n"
    return process


@pytest.mark.parametrize("seed", range(ITERATIONS))
async def test_a_killed_library_process(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # One root for all seeds: what a kill leaves is what the next begins with.
    root = tmp_path_factory.getbasetemp() / "killed-library"
    process = await asyncio.to_thread(start_library, root, seed)
    with process:
        moment = random.Random(seed).uniform(0.005, LONGEST)
        with pytest.raises(subprocess.TimeoutExpired):
            await asyncio.to_thread(process.wait, moment)
        process.kill()
    async with Engine.open(root) as engine:
        await assert_whole(engine)
        await assert_nothing_else(engine, root)
        await assert_whole(engine)
        if seed % 4 == 3:
            await assert_all_can_go(engine, root)


async def test_a_daemon_and_a_library_on_one_root(
    daemon: LaminaDaemon, request: pytest.FixtureRequest
) -> None:
    daemon.start()
    request.addfinalizer(daemon.kill)
    library = await asyncio.to_thread(start_library, daemon.root, 77, 40)
    with library:
        async with Client.connect(daemon.host) as client, Engine.open(daemon.root) as engine:
            async with asyncio.TaskGroup() as group:
                apis: tuple[ImageApi, ...] = (client, client, engine)
                for number, api in enumerate(apis):
                    work = Work(api, random.Random(number))
                    group.create_task(work.run(25))
                exit_status = await asyncio.to_thread(library.wait)
            assert exit_status == 0
            assert await assert_whole(client) == await assert_whole(engine)
            await assert_nothing_else(engine, daemon.root)
            await assert_whole(client)
            await assert_all_can_go(client, daemon.root)
    assert daemon.stop() == 0


async def test_a_daemon_is_killed_while_a_library_goes_on(
    daemon: LaminaDaemon, request: pytest.FixtureRequest
) -> None:
    daemon.start()
    request.addfinalizer(daemon.kill)
    async with Engine.open(daemon.root) as engine, Client.connect(daemon.host) as client:
        doomed = asyncio.create_task(Work(client, random.Random(1)).run(1000))
        living = asyncio.create_task(Work(engine, random.Random(2)).run(15))
        await asyncio.wait([doomed], timeout=LONGEST)
        daemon.kill()
        with pytest.raises(LaminaError):
            await doomed
        await living
        await assert_whole(engine)
        await assert_nothing_else(engine, daemon.root)
        await assert_whole(engine)
        await assert_all_can_go(engine, daemon.root)
