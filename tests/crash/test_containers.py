"""kill -9 while containers come and go: the next start leaves no mount, process, cgroup or file."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from lamina.engine import Engine
from lamina.snapshots.mounting import mounts_below
from tests.real.lamina_daemon import SOURCE
from tests.unit.layers.trees import needs_root

pytestmark = needs_root

ROUNDS = 4
WORKERS = 4
LONGEST = 2.0
"""Seconds of work before the kill: a few dozen containers, in every stage of their lives."""


def start_work(root: Path, seed: int, mark: str) -> subprocess.Popen[bytes]:
    here = SOURCE.parent
    arguments = [str(root), str(seed), str(WORKERS), mark]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.crash.container_workload", *arguments],
        cwd=here,
        env={**os.environ, "PYTHONPATH": f"{SOURCE}{os.pathsep}{here}"},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"working\n"
    return process


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def processes_with(mark: str) -> list[str]:
    """The command lines of processes that have `mark` among their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if mark.encode() in words and b"tests.crash.container_workload" not in words:
            found.append(b" ".join(words).decode())
    return found


def cgroups_of(ids: set[str]) -> list[Path]:
    return [path for path in Path("/sys/fs/cgroup").glob("**/lamina/*") if path.name in ids]


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} if directory.is_dir() else set()


def traces(root: Path) -> set[str]:
    """The IDs of all containers of which there was a file."""
    return names(root / "containers").union(*(names(p) for p in root.glob("run/*/bundles")))


async def assert_nothing_is_left(engine: Engine, root: Path, seen: set[str], mark: str) -> None:
    """Containers that are recorded have their files; nothing else is there."""
    listed = await engine.container_list(all=True)
    assert [row.state for row in listed if row.state not in {"created", "exited"}] == []
    ids = {row.id for row in listed}
    assert processes_with(mark) == []
    assert mounts_below(root) == []
    assert cgroups_of(seen | ids) == []
    assert names(root / "containers") <= ids
    volumes = [await engine.container_inspect(id) for id in ids]
    mounted = {str(mount.name) for each in volumes for mount in each.mounts}
    assert names(root / "volumes") == mounted
    assert len(names(root / "snapshots/overlay/snapshots")) == len(ids)
    assert names(root / "snapshots/overlay/staging") == set()
    assert len(names(root / "run")) <= 1


async def test_nothing_is_left_of_killed_containers(tmp_path: Path) -> None:
    root, mark = tmp_path / "root", uuid4().hex
    seen: set[str] = set()
    for seed in range(ROUNDS):
        rng = random.Random(seed)
        process = await asyncio.to_thread(start_work, root, seed, mark)
        with process:
            with pytest.raises(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, rng.uniform(0.1, LONGEST))
            monitors = children(process.pid)
            seen |= traces(root)
            process.kill()
            if seed % 2:
                # The monitor too, as when all that a service runs is killed.
                for monitor in monitors:
                    os.kill(monitor, signal.SIGKILL)
        async with Engine.open(root) as engine:
            await assert_nothing_is_left(engine, root, seen, mark)
            if seed == ROUNDS - 1:
                await engine.container_prune()
                await assert_nothing_is_left(engine, root, seen, mark)
                assert await engine.container_list(all=True) == []
