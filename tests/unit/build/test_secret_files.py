import asyncio
import os
from pathlib import Path

import pytest

from lamina.build.secret_files import MAX_SECRET, read_secret
from lamina.errors import InvalidParameter, LaminaError


async def test_files(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    for value in (b"", b"a", b"x" * MAX_SECRET):
        path.write_bytes(value)
        assert await read_secret("s", path) == value
    path.write_bytes(b"x" * (MAX_SECRET + 1))
    with pytest.raises(InvalidParameter, match="s is larger than"):
        await read_secret("s", path)


async def test_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = asyncio.create_task(read_secret("s", pipe))
    writer = await asyncio.to_thread(os.open, pipe, os.O_WRONLY)
    for piece in (b"in ", b"pieces"):
        os.write(writer, piece)
        await asyncio.sleep(0)
    os.close(writer)
    assert await reading == b"in pieces"


async def test_a_pipe_that_nobody_writes_to_can_be_given_up(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for moments in range(8):
        reading = asyncio.create_task(read_secret("s", pipe))
        for _ in range(moments):
            await asyncio.sleep(0)
        reading.cancel()
        async with asyncio.timeout(10):
            await asyncio.wait({reading})
        assert reading.cancelled()
        # Nobody has it open any more.
        with pytest.raises(OSError, match="No such device"):
            os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)


async def test_what_never_ends() -> None:
    with pytest.raises(InvalidParameter, match="larger than"):
        await read_secret("s", Path("/dev/zero"))
    assert await read_secret("s", Path("/dev/null")) == b""


async def test_what_cannot_be_read(tmp_path: Path) -> None:
    for path, why in ((tmp_path, "Is a directory"), (tmp_path / "x", "No such file")):
        with pytest.raises(LaminaError, match=f"failed to read secret s: {why}"):
            await read_secret("s", path)
