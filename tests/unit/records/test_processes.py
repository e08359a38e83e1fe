"""Several processes on one root, and what is left of those that were killed."""

import asyncio
import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lamina.errors import Unavailable
from lamina.oci.digest import Digest
from lamina.records.processes import Presence
from lamina.records.records import Records
from tests.unit.engine.root_files import look_at
from tests.unit.records.records_in import digest, put_blob, records_in

REPOSITORY = Path(__file__).parents[3]


def start(root: Path, verb: str, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.unit.records.records_process", str(root), verb, name],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextmanager
def holder(root: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has published a blob under a lease."""
    with start(root, "hold", name) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


async def test_what_a_living_process_holds_stays(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with holder(root, "held"):
        async with records_in(root) as records:
            await put_blob(root, b"nobody's")
            assert await records.sweep() == len(b"nobody's")
            assert look_at(root).blobs == {str(digest("held"))}


async def test_what_a_killed_process_held_goes_with_the_next_start(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with holder(root, "held") as process:
        kill(process)
    assert look_at(root).garbage == {str(digest("held"))}
    assert look_at(root).leases == 2
    async with records_in(root):
        look_at(root).check_tidy()
        assert look_at(root).blobs == frozenset()
    assert list((root / "processes").iterdir()) == []


async def test_a_process_that_was_there_before_notices_too(tmp_path: Path) -> None:
    root = tmp_path / "root"
    async with records_in(root) as records:
        with holder(root, "held") as process:
            kill(process)
        # A sweep after some deletion, which looks for that image's blobs only.
        await records.sweep(frozenset((Digest.of(b"another"),)))
        look_at(root).check_tidy()
        assert look_at(root).blobs == frozenset()


async def test_one_at_a_time_removes_what_others_have_left(tmp_path: Path) -> None:
    async def recover(records: Records) -> None:
        async with records.recovering():
            pass

    async with records_in(tmp_path / "root") as one, records_in(tmp_path / "root") as other:
        async with one.recovering():
            waiting = asyncio.create_task(recover(other))
            done, _ = await asyncio.wait({waiting}, timeout=0.1)
            assert not done
        await waiting


async def test_who_cannot_open_the_records_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "lamina.db-mark").mkdir()
    with pytest.raises(IsADirectoryError):
        async with records_in(tmp_path):
            pass
    assert list((tmp_path / "processes").iterdir()) == []


def test_who_looks_is_not_taken_for_the_process_itself(tmp_path: Path) -> None:
    directory = tmp_path / "processes"
    one = Presence(directory)
    (directory / "killed").touch()
    with (directory / "killed").open() as another:
        fcntl.flock(another, fcntl.LOCK_SH)
        assert one.living() == {one.id}
        assert one.forget_dead() == {"killed"}
    one.close()


async def test_recovery_is_not_waited_for_without_end(tmp_path: Path) -> None:
    directory = tmp_path / "processes"
    one, other = Presence(directory), Presence(directory)
    async with one.recovering():
        with pytest.raises(Unavailable, match=f"left in {tmp_path} for more than 0.1 seconds$"):
            async with other.recovering(patience=0.1):
                pass
    async with other.recovering(patience=0.1):
        pass
    one.close()
    other.close()


async def test_processes_that_start_at_once_on_a_new_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    processes = [start(root, "tag", name) for name in ("a", "b", "c", "d", "e")]
    async with records_in(root) as records:
        for process in processes:
            with process:
                assert process.wait() == 0
        assert len(records.catalogue.images) == 50
        assert {len(tags) for tags in records.catalogue.tags.values()} == {10}
        assert records.catalogue.generation == 50
