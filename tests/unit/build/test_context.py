import asyncio
import io
from functools import partial
from pathlib import Path

from lamina.build.context import spooled
from lamina.content.threads import run_to_end
from lamina.dockerfile.ignore import IgnorePatterns
from lamina.snapshots.stopping import Stop
from tests.real.images import file, layer


async def test_what_is_ignored_is_not_there(tmp_path: Path) -> None:
    body = io.BytesIO(layer(file("a", "1"), file("d/b", "2"), file("d/c", "3")))
    patterns = IgnorePatterns(["d", "!d/c"])
    async with spooled(body, tmp_path) as context:
        left = context.without_ignored(patterns, Stop())
        assert {entry.path for entry in left.index if entry.path} == {"a", "d/c"}
        assert left.digest != context.digest
        assert left.read("d/c", 1) == b"3"


async def test_whoever_gives_up_does_not_wait_for_many_patterns(tmp_path: Path) -> None:
    body = io.BytesIO(layer(*(file(f"f{number}", "") for number in range(5000))))
    patterns = IgnorePatterns(f"*{number}*x" for number in range(20_000))
    async with spooled(body, tmp_path) as context:
        stop = Stop()
        ignoring = partial(context.without_ignored, patterns, stop)
        task = asyncio.create_task(run_to_end(ignoring, stop=stop.set))
        for _ in range(10):
            await asyncio.sleep(0)
        task.cancel()
        async with asyncio.timeout(5):
            await asyncio.wait({task})
        assert task.cancelled()
