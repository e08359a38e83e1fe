import asyncio
import os
from pathlib import Path

import pytest

from lamina.content.whole_file import whole_file


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


async def test_it_is_there_when_it_is_whole(tmp_path: Path) -> None:
    async with whole_file(tmp_path / "x") as file:
        file.write(b"whole")
        assert "x" not in names(tmp_path)
    assert names(tmp_path) == ["x"]
    assert (tmp_path / "x").read_bytes() == b"whole"


async def test_one_that_does_not_become_whole_leaves_nothing(tmp_path: Path) -> None:
    async def half() -> None:
        async with whole_file(tmp_path / "x") as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await half()
    assert names(tmp_path) == []


async def test_nothing_stays_open_if_it_is_cancelled_while_it_is_opened(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    async def write() -> None:
        async with whole_file(pipe) as file:
            file.write(b"x")

    # Opening it ends when somebody reads.
    writing = asyncio.create_task(write())
    await asyncio.sleep(0)
    writing.cancel()
    reader = os.open(pipe, os.O_RDONLY)
    try:
        with pytest.raises(asyncio.CancelledError):
            await writing
        # The end: nobody has it open for writing, though the task with its frames is still there.
        os.set_blocking(reader, False)
        assert os.read(reader, 1) == b""
    finally:
        os.close(reader)
