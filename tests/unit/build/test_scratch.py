import asyncio
from pathlib import Path

from lamina.build.scratch import scratch_directory, sweep_left_overs
from tests.unit.layers.test_directories import make_deep


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


async def test_it_is_there_for_as_long_as_it_is_used(tmp_path: Path) -> None:
    async with scratch_directory(tmp_path) as directory:
        (directory / "a").write_bytes(b"1")
        assert names(directory) == ["a"]
        assert directory.parent.stat().st_mode & 0o777 == 0o700
        sweep_left_overs(tmp_path)
        assert names(directory) == ["a"]
    assert names(tmp_path) == []


async def test_what_was_left_is_swept(tmp_path: Path) -> None:
    # Of a process that was killed at once, and of one that had got further.
    (tmp_path / "lamina-build-1").mkdir()
    (tmp_path / "lamina-build-2" / "content").mkdir(parents=True)
    (tmp_path / "lamina-build-2" / "content" / "secret").write_bytes(b"1")
    (tmp_path / "of others").mkdir()
    (tmp_path / "lamina-build-3").symlink_to(tmp_path / "of others")
    sweep_left_overs(tmp_path)
    assert sorted(names(tmp_path)) == ["lamina-build-3", "of others"]


async def test_it_may_be_deep(tmp_path: Path) -> None:
    """A repository may be, which is checked out in it."""
    async with scratch_directory(tmp_path) as directory:
        make_deep(directory)
    assert names(tmp_path) == []
    (tmp_path / "lamina-build-1").mkdir()
    make_deep(tmp_path / "lamina-build-1")
    sweep_left_overs(tmp_path)
    assert names(tmp_path) == []


async def test_who_sweeps_takes_nothing_from_who_makes(tmp_path: Path) -> None:
    async def make() -> None:
        for _ in range(30):
            async with scratch_directory(tmp_path) as directory:
                (directory / "a").write_bytes(b"1")

    async def sweep() -> None:
        while not made.done():
            await asyncio.to_thread(sweep_left_overs, tmp_path)

    made = asyncio.gather(make(), make())
    await asyncio.gather(made, sweep())
    assert names(tmp_path) == []


async def test_nothing_is_left_of_who_is_cancelled(tmp_path: Path) -> None:
    async def use() -> None:
        async with scratch_directory(tmp_path):
            await asyncio.Event().wait()

    for moments in range(6):
        task = asyncio.create_task(use())
        for _ in range(moments):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
    assert names(tmp_path) == []
