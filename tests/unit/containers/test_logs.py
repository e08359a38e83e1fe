import asyncio
import json
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lamina.containers.logs import LogFile, LogQuery, LogWriter
from lamina.streams import Frame
from tests.unit.runtime.directory import names

SECOND = 1_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


async def read(path: Path, **query: Any) -> list[str]:  # noqa: ANN401 - a LogQuery's fields
    return [frame.data.decode() async for frame in LogFile(path).read(LogQuery(**query))]


def write(path: Path, *texts: str, start: int = 0) -> None:
    """Each text a second after the other."""
    writer = LogWriter(path)
    for number, text in enumerate(texts, start):
        writer.write(1, text.encode(), number * SECOND)
    writer.finish(len(texts) * SECOND)


async def test_lines_have_dockers_form(path: Path) -> None:
    writer = LogWriter(path)
    writer.write(1, b"one\ntw", 5 * SECOND + 1)
    writer.write(2, b"\xff\n", 6 * SECOND)
    writer.write(1, b"o\n", 7 * SECOND)
    writer.finish(8 * SECOND)
    text = path.read_bytes()  # noqa: ASYNC240 - a few lines
    assert [json.loads(line) for line in text.splitlines()] == [
        {"log": "one\n", "stream": "stdout", "time": "1970-01-01T00:00:05.000000001Z"},
        {"log": "�\n", "stream": "stderr", "time": "1970-01-01T00:00:06Z"},
        {"log": "two\n", "stream": "stdout", "time": "1970-01-01T00:00:07Z"},
    ]
    frames = [frame async for frame in LogFile(path).read(LogQuery())]
    assert frames == [Frame(1, b"one\n"), Frame(2, "�\n".encode()), Frame(1, b"two\n")]


async def test_a_line_without_end_comes_in_pieces(path: Path) -> None:
    write(path, "x" * 40_000, "y")
    pieces = await read(path)
    assert "".join(pieces) == "x" * 40_000 + "y"
    assert max(map(len, pieces)) <= 16 << 10


@pytest.mark.parametrize("count", [1, 10, 100_000])
async def test_the_last_lines(path: Path, count: int) -> None:
    write(path, "".join(f"{number}\n" for number in range(count)))
    for tail in (0, 1, 5, count, count + 1):
        expected = [f"{number}\n" for number in range(max(0, count - tail), count)]
        assert await read(path, tail=tail) == expected


async def test_times(path: Path) -> None:
    write(path, *(f"{number}\n" for number in range(5)))
    assert await read(path, since=2 * SECOND, until=3 * SECOND) == ["2\n", "3\n"]
    assert await read(path, tail=1, timestamps=True) == ["1970-01-01T00:00:04.000000000Z 4\n"]


@pytest.mark.parametrize(
    "torn", [b'{"log":"to', b'{"log":"\xff","stream":"stdout","time":"1970-01-01T00:00:00Z"}']
)
async def test_a_torn_line_is_passed_over(path: Path, torn: bytes) -> None:
    write(path, "one\n")
    with path.open("ab") as file:
        file.write(torn + b"\n")
    write(path, "two\n")
    assert await read(path) == ["one\n", "two\n"]


async def test_old_files_go_and_those_that_stay_are_read_in_order(path: Path) -> None:
    writer = LogWriter(path, limit=1000, files=3)
    for number in range(100):
        writer.write(1, f"{number}\n".encode(), number)
    writer.finish(100)
    assert sorted(file.name for file in path.parent.iterdir()) == ["log", "log.1", "log.2"]
    lines = await read(path)
    assert lines == [f"{number}\n" for number in range(100 - len(lines), 100)]
    assert 20 < len(lines) < 100
    assert await read(path, tail=30) == lines[-30:]


async def test_following(path: Path) -> None:
    writer = LogWriter(path, limit=500, files=2)
    waiting: list[asyncio.Future[None]] = []
    ended = False

    def more() -> asyncio.Future[None] | None:
        if ended:
            return None
        waiting.append(asyncio.get_running_loop().create_future())
        return waiting[-1]

    def wake() -> None:
        if not waiting[-1].done():
            waiting[-1].set_result(None)

    writer.write(1, b"0\n", 0)
    frames = LogFile(path).read(LogQuery(), more=more)
    assert (await anext(frames)).data == b"0\n"
    for number in range(1, 30):
        writer.write(1, f"{number}\n".encode(), number)
        wake()
        assert (await anext(frames)).data == f"{number}\n".encode()
    ended = True
    writer.write(1, b"rest", 30)
    writer.finish(30)
    wake()
    assert [frame.data async for frame in frames] == [b"rest"]


class Between(ThreadPoolExecutor):
    """Threads that have something happen between two pieces of work."""

    def __init__(self, happens: Callable[[Any], None]) -> None:
        super().__init__()
        self._happens = happens

    def submit(self, call: Any, /, *given: Any, **named: Any) -> Future[Any]:  # noqa: ANN401 - as the base class
        def work() -> Any:  # noqa: ANN401 - whatever comes of it
            result = call(*given, **named)
            self._happens(result)
            return result

        return super().submit(work)


async def test_what_is_written_last_before_another_file_is_begun_is_followed(path: Path) -> None:
    writer = LogWriter(path, limit=150, files=2)
    texts = ["2\n", "3\n"]

    def happens(result: object) -> None:
        if result == []:
            # The end of the file was read, and now is no more.
            while texts:
                writer.write(1, texts.pop(0).encode(), 0)

    writer.write(1, b"1\n", 0)
    asyncio.get_running_loop().set_default_executor(Between(happens))
    never = asyncio.get_running_loop().create_future()
    frames = LogFile(path).read(LogQuery(), more=lambda: never if texts else None)
    assert [frame.data async for frame in frames] == [b"1\n", b"2\n", b"3\n"]
    assert path.with_name("log.1").exists()
    writer.finish(0)


async def test_who_stops_reading_leaves_nothing_open(path: Path) -> None:
    write(path, "1\n")
    fds = names(Path("/proc/self/fd"))
    at_work = asyncio.Event()
    loop = asyncio.get_running_loop()

    def happens(_: object) -> None:
        loop.call_soon_threadsafe(at_work.set)

    loop.set_default_executor(Between(happens))
    reading = asyncio.create_task(read(path))
    await at_work.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert names(Path("/proc/self/fd")) == fds


async def test_a_new_file_that_cannot_be_begun(path: Path) -> None:
    """The descriptor of the one before must not be written to after it is somebody else's."""
    writer = LogWriter(path, limit=100)
    writer.write(1, b"1\n", 0)
    path.rename(path.with_name("old"))  # noqa: ASYNC240 - as in all of this test
    path.mkdir()  # noqa: ASYNC240
    writer.write(1, b"2\n", 0)
    other = os.open(path.with_name("other"), os.O_RDWR | os.O_CREAT)
    writer.write(1, b"3\n", 0)
    writer.finish(0)
    assert os.read(other, 100) == b""
    os.close(other)
    assert await read(path.with_name("old")) == ["1\n", "2\n", "3\n"]


async def test_following_until_a_time(path: Path) -> None:
    write(path, "1\n")
    now = 5 * SECOND
    never = asyncio.get_running_loop().create_future()
    query = LogQuery(until=now + SECOND // 20)
    frames = LogFile(path, lambda: now).read(query, more=lambda: never)
    assert (await anext(frames)).data == b"1\n"
    now += SECOND
    assert [frame async for frame in frames] == []


async def test_no_log_at_all(path: Path) -> None:
    assert await read(path) == []
