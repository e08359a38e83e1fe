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
from tests.real.checkout import SOURCE, environment
from tests.real.remains import (
    assert_all_can_be_pruned,
    assert_nothing_is_left,
    monitors_of,
    processes_with,
    traces,
    wait_until_gone,
)
from tests.unit.layers.trees import needs_root

pytestmark = needs_root

WORKLOAD = "tests.crash.container_workload"

ROUNDS = 4
WORKERS = 4
LONGEST = 2.0
"""Seconds of work before the kill: a few dozen containers, in every stage of their lives."""


def start_work(root: Path, seed: int, mark: str) -> subprocess.Popen[bytes]:
    here = SOURCE.parent
    arguments = [str(root), str(seed), str(WORKERS), mark]
    process = subprocess.Popen(
        [sys.executable, "-m", WORKLOAD, *arguments],
        cwd=here,
        env=environment(here),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"working\n"
    return process


async def test_nothing_is_left_of_killed_containers(tmp_path: Path) -> None:
    root, mark = tmp_path / "root", uuid4().hex
    seen: set[str] = set()
    for seed in range(ROUNDS):
        rng = random.Random(seed)
        process = await asyncio.to_thread(start_work, root, seed, mark)
        with process:
            with pytest.raises(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, rng.uniform(0.1, LONGEST))
            monitors = monitors_of(process.pid)
            seen |= traces(root)
            process.kill()
            if seed % 2:
                # The monitor too, as when all that a service runs is killed.
                for monitor in monitors:
                    os.kill(monitor, signal.SIGKILL)
        await asyncio.to_thread(wait_until_gone, root)
        async with Engine.open(root) as engine:
            assert processes_with(mark, but=WORKLOAD) == []
            await assert_nothing_is_left(engine, root, seen)
            if seed == ROUNDS - 1:
                await assert_all_can_be_pruned(engine, root, seen)
