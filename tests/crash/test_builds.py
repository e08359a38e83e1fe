"""kill -9 while images are built side by side: the next start leaves only what is needed."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from lamina.build.scratch import MEMORY
from lamina.client import Client
from lamina.engine import Engine
from lamina.errors import LaminaError
from lamina.models import ImageBuildOutput
from lamina.progress import StreamText
from tests.conformance.wire import load as load_into
from tests.crash.build_workload import IMAGE, RECIPES, Builds, base
from tests.crash.wholeness import assert_all_can_go, assert_whole
from tests.real.archives import docker_archive
from tests.real.checkout import SOURCE, environment
from tests.real.images import busybox_image, tar_of
from tests.real.lamina_daemon import LaminaDaemon
from tests.real.registry import Registry
from tests.real.remains import (
    assert_nothing_is_left,
    monitors_of,
    names,
    processes_with,
    wait_until_gone,
)
from tests.unit.build.builds import context, said
from tests.unit.engine.root_files import look_at
from tests.unit.engine.sources import load
from tests.unit.layers.trees import needs_root

pytestmark = needs_root

WORKLOAD = "tests.crash.build_workload"
ROUNDS = 3
WORKERS = 3
LONGEST = 1.5
"""Seconds of work before the kill: a few builds, at any of their steps."""


@pytest.fixture(scope="module")
def bases(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A registry with what the builds begin from."""

    async def push(root: Path) -> None:
        async with Engine.open(root) as engine:
            for number in range(RECIPES):
                name = f"{registry.address}/crash/base:{number}"
                await load(engine, tar_of(docker_archive((base(number), [name]))))
                await engine.image_push(name)

    asyncio.run(push(tmp_path_factory.mktemp("bases")))
    return registry


@pytest.fixture
def daemon() -> Iterator[LaminaDaemon]:
    """A daemon to kill and start again on the same root."""
    with tempfile.TemporaryDirectory(prefix="lamina-crash-") as directory:
        killed = LaminaDaemon(Path(directory))
        killed.start()
        load_into(killed.socket, tar_of(docker_archive((busybox_image(), [IMAGE]))))
        yield killed
        killed.stop()


def start_work(root: Path, seed: int, mark: str, registry: Registry) -> subprocess.Popen[bytes]:
    """A process that builds with the library; it has begun when this returns."""
    here = SOURCE.parent
    arguments = [str(root), str(seed), str(WORKERS), mark, registry.address]
    process = subprocess.Popen(
        [sys.executable, "-m", WORKLOAD, *arguments],
        cwd=here,
        env=environment(here),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"working\n"
    return process


def end_monitors(monitors: list[int]) -> None:
    """As when all that a service runs is killed."""
    for monitor in monitors:
        with contextlib.suppress(ProcessLookupError):
            os.kill(monitor, signal.SIGKILL)


def sandboxes(root: Path) -> set[str]:
    """The names of all commands that run."""
    return {path.name for path in root.glob("run/*/bundles/*")}


def is_secret(path: Path, mark: str) -> bool:
    """Whether a file, perhaps of another user or gone by now, has the secret of our builds."""
    with contextlib.suppress(OSError):
        return path.read_text() == mark
    return False


def secrets_in_memory(mark: str) -> list[Path]:
    """What commands were given as a secret."""
    return [path for path in MEMORY.glob("lamina-build-*/*/*") if is_secret(path, mark)]


async def assert_left_overs_are_gone(engine: Engine, root: Path, seen: set[str]) -> None:
    """What killed builds were at is gone; what they kept is whole."""
    await assert_nothing_is_left(engine, root, seen)
    found = look_at(root)
    # What a pull has of a layer stays, for the next one to go on.
    assert (found.missing, found.garbage, found.leases) == (frozenset(), frozenset(), 0)
    assert names(root / "build") <= {"mounts"}
    for cache in names(root / "build/mounts") - {"lock"}:
        assert names(root / "build/mounts" / cache) == {"record.json", "lock", "data"}
    await assert_whole(engine)


async def assert_recipes_work(builds: Builds, engine: Engine, directory: Path) -> None:
    """What is built on what a killed process left is what it should be."""
    for number in range(RECIPES):
        result = directory / f"{number}.tar"
        output = ImageBuildOutput(type="tar", attrs={"dest": str(result)})
        image = await builds.build(number, outputs=[output])
        assert (await engine.image_inspect(f"crash-built:{number}")).id == image
        with tarfile.open(result) as tar:
            for name, data in builds.made_by(number).items():
                reader = tar.extractfile(name)
                assert reader is not None
                assert reader.read() == data, name
            assert tar.getmember("made/here").isdir()


async def assert_caches_are_accounted_for(engine: Engine, root: Path) -> None:
    """Each is listed with what it takes, and a prune says how much that was."""
    listed = (await engine.system_data_usage()).build_cache or []
    mounts = root / "build/mounts"
    assert {one.id for one in listed} == names(mounts) - {"lock"}
    sizes = {
        one.id: sum(path.stat().st_size for path in (mounts / one.id / "data").rglob("*"))
        for one in listed
    }
    assert {one.id: one.size for one in listed} == sizes
    assert not any(one.in_use for one in listed)
    pruned = await engine.build_prune(all=True)
    assert pruned.space_reclaimed == sum(sizes.values())
    assert names(mounts) <= {"lock"}


async def test_a_killed_library_process(tmp_path: Path, bases: Registry) -> None:
    root, mark = tmp_path / "root", uuid4().hex
    seen: set[str] = set()
    for seed in range(ROUNDS):
        process = await asyncio.to_thread(start_work, root, seed, mark, bases)
        with process:
            with pytest.raises(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, random.Random(seed).uniform(0.3, LONGEST))
            monitors = monitors_of(process.pid)
            seen |= sandboxes(root)
            process.kill()
            if seed % 2:
                end_monitors(monitors)
        await asyncio.to_thread(wait_until_gone, root)
        async with Engine.open(root) as engine:
            assert processes_with(mark, but=WORKLOAD) == []
            assert secrets_in_memory(mark) == []
            await assert_left_overs_are_gone(engine, root, seen)
            builds = Builds(engine, mark, bases.address)
            await assert_recipes_work(builds, engine, tmp_path)
            if seed % 2:
                await assert_caches_are_accounted_for(engine, root)
            if seed == ROUNDS - 1:
                await assert_all_can_go(engine, root)
                assert names(root / "snapshots/overlay/trees/sha256") == set()
                assert names(root / "indexes") == set()


async def test_a_killed_daemon(daemon: LaminaDaemon, tmp_path: Path, bases: Registry) -> None:
    mark = uuid4().hex
    seen: set[str] = set()
    for seed in range(ROUNDS):
        async with Client.connect(daemon.host) as client:
            builds = Builds(client, mark, bases.address)
            workers = [
                asyncio.create_task(builds.work(random.Random(seed * 100 + number)))
                for number in range(WORKERS)
            ]
            moment = random.Random(seed).uniform(0.1, LONGEST)
            done, _ = await asyncio.wait(workers, timeout=moment)
            # None may have failed before the kill; after it all do.
            assert [worker.exception() for worker in done] == []
            monitors = monitors_of(daemon.pid)
            seen |= sandboxes(daemon.root)
            daemon.kill()
            if seed % 2:
                end_monitors(monitors)
            ends = await asyncio.gather(*workers, return_exceptions=True)
            assert all(isinstance(end, LaminaError) for end in ends), ends
        await asyncio.to_thread(wait_until_gone, daemon.root)
        daemon.start()
        assert processes_with(mark) == []
        async with Engine.open(daemon.root) as engine:
            await assert_left_overs_are_gone(engine, daemon.root, seen)
            builds = Builds(engine, mark, bases.address)
            await assert_recipes_work(builds, engine, tmp_path)


async def test_a_client_that_hangs_up(daemon: LaminaDaemon) -> None:
    mark = uuid4().hex
    step = "RUN --mount=type=cache,target=/c --mount=target=/context"
    dockerfile = f"""FROM {IMAGE}
COPY a /
{step} ["sh", "-c", "echo on; touch /c/x; sleep 1000", "{mark}"]
"""
    async with Client.connect(daemon.host) as client:
        operation = client.image_build(input_stream=context(dockerfile, {"a": "A"}))
        async with contextlib.aclosing(aiter(operation)) as events:
            async for event in events:
                if event == StreamText("on\n"):
                    break
        # Its lease is the last that a build lets go.
        while processes_with(mark) or look_at(daemon.root).leases:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        async with Engine.open(daemon.root) as engine:
            await assert_left_overs_are_gone(engine, daemon.root, set())
            await assert_caches_are_accounted_for(engine, daemon.root)
        # What was made before is there for the next build.
        before, _, _ = dockerfile.rpartition("RUN")
        text = await said(client.image_build(input_stream=context(before, {"a": "A"})))
        assert "Using cache" in text
