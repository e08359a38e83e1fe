"""The monitor with runtimes that do what real ones do in rare moments only."""

import asyncio
from pathlib import Path

import pytest

from lamina.errors import Unavailable
from lamina.runtime.stdio import Pipes
from lamina.runtime.supervisor import Supervisor


async def test_a_process_may_outlive_its_container(tmp_path: Path) -> None:
    """For the runtime may tell of one that it has started in what was just deleted."""
    supervisor = await Supervisor.start(tmp_path / "lock")
    pipes = Pipes(stdin=False)
    request = {
        "do": "exec",
        "argv": ["/bin/sh", "-c", "sleep 1000 & echo $! >pid"],
        "inside": "deleted",
        "bundle": str(tmp_path),
        "tty": False,
    }
    _, _, exited = await supervisor.run("late", request, pipes.theirs)
    async with asyncio.timeout(10):
        assert await supervisor.signal("late", 9)
        assert (await exited).code == 137
        assert not await supervisor.signal("late", 0)
    pipes.close_ours()
    pipes.close_theirs()
    await supervisor.close()


async def test_who_gives_up_asking_leaves_nothing(tmp_path: Path) -> None:
    supervisor = await Supervisor.start(tmp_path / "lock")
    asking = asyncio.create_task(supervisor.signal("nobody", 0))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    # Answers come in their order.
    assert not await supervisor.signal("nobody", 0)
    assert supervisor._answers == {}  # noqa: SLF001 - nothing else tells
    await supervisor.close()
    with pytest.raises(Unavailable):
        await supervisor.signal("nobody", 0)
