"""Several processes on one root, and processes that are killed."""

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lamina.content.local import LocalStore
from lamina.errors import Conflict
from lamina.oci.digest import Digest
from tests.unit.content.conformance import MIB, content, everything
from tests.unit.content.writer_process import keyed_content

REPOSITORY = Path(__file__).parents[3]


@contextmanager
def writer_process(*args: str | Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.unit.content.writer_process", *map(str, args)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


@pytest.mark.parametrize("keys", [(), ("key-of-", "key-of-")], ids=["anonymous", "keyed"])
async def test_two_processes_write_one_blob(tmp_path: Path, keys: tuple[str, ...]) -> None:
    store = LocalStore(tmp_path)
    digest = Digest.of(content(3 * MIB, seed=7))
    args = [[f"{key}{n}"] for n, key in enumerate(keys)] or [[], []]
    with (
        writer_process("once", tmp_path, "7", *args[0]) as first,
        writer_process("once", tmp_path, "7", *args[1]) as second,
    ):
        assert said(first) == said(second) == "ready"
        assert await everything(store) == {}
        go(first, second)
        assert said(first) == said(second) == str(digest)
    assert list(await everything(store)) == [digest]
    assert list((tmp_path / "ingest").iterdir()) == []


async def test_a_key_has_one_writer_among_processes(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    async with store.ingest("layer"):
        with writer_process("once", tmp_path, "7", "layer") as other:
            assert said(other) == "Conflict"
    with writer_process("once", tmp_path, "7", "layer") as other:
        assert said(other) == "ready"
        with pytest.raises(Conflict):
            async with store.ingest("layer"):
                pytest.fail("one key, two writers")
        assert await store.sweep_ingests(0) == 0
        other.kill()
        other.wait()
    async with store.ingest("layer") as writer:
        assert writer.offset == 3 * MIB
        assert await writer.finish() == Digest.of(content(3 * MIB, seed=7))


async def kill_at_step(root: Path, seed: int, steps: int) -> None:
    with writer_process("endless", root, str(seed)) as process:
        for _ in range(steps):
            assert said(process) != ""
        process.kill()


async def test_a_killed_writer_leaves_nothing_half_done(tmp_path: Path) -> None:
    moments = random.Random()  # any moments will do
    resumed_from = []
    for seed in range(8):
        steps = moments.randint(1, 150)
        await kill_at_step(tmp_path, seed, steps)
        store = LocalStore(tmp_path)
        whole = await everything(store)
        keys = [path.name for path in (tmp_path / "ingest").iterdir() if path.name[0] != "."]
        for key in keys:
            data = keyed_content(key)
            async with store.ingest(key, expected=Digest.of(data), size=len(data)) as writer:
                resumed_from.append(writer.offset)
                await writer.write(data[writer.offset :])
                assert (await writer.commit()).digest == Digest.of(data)
            whole[Digest.of(data)] = data
        assert await everything(store) == whole, f"killed after {steps} steps"
        await store.sweep_ingests()
        assert list((tmp_path / "ingest").iterdir()) == []
        for digest in whole:
            await store.delete(digest)
    assert resumed_from, "no kill came while a keyed ingest was open"
