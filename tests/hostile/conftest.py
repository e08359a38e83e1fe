"""Engines to attack, in this process and as a daemon; both are looked over after each attack."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lamina.client import Client
from lamina.engine import Engine
from tests.conformance.engines import EngineApi
from tests.real.lamina_daemon import LaminaDaemon, lamina_daemon

MEMORY_LIMIT = 200 << 20
"""The bar of the whole project for a daemon, in bytes."""


@dataclass(frozen=True)
class Victim:
    """An engine under attack, and where its files are."""

    api: EngineApi
    root: Path
    daemon: LaminaDaemon | None

    async def assert_untouched(self) -> None:
        """No image, and after a prune no file, is left of what was refused."""
        assert await self.api.image_list(all=True) == []
        await self.api.image_prune()
        assert content_of(self.root) == []
        if self.daemon is not None:
            log = self.daemon.log.read_text()
            assert "Traceback" not in log, log[log.index("Traceback") :][:3000]
            peak = self.daemon.memory("VmHWM")
            assert peak < MEMORY_LIMIT, f"{peak >> 20} MiB"


def content_of(root: Path) -> list[Path]:
    """Every file that holds content, whole or on its way."""
    return [path for path in (root / "content").rglob("*") if path.is_file()]


def forget_peak(daemon: LaminaDaemon) -> None:
    """Let the next attack have a peak of memory of its own (proc(5), clear_refs)."""
    Path(f"/proc/{daemon.pid}/clear_refs").write_text("5")


@pytest.fixture(scope="session")
def attacked_daemon() -> Iterator[LaminaDaemon]:
    """A daemon for attacks alone, whose memory nobody else uses."""
    with lamina_daemon() as daemon:
        yield daemon


@pytest.fixture(params=["engine", "daemon"])
async def victim(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Victim]:
    """An engine in this process, or a client of a daemon."""
    async with contextlib.AsyncExitStack() as stack:
        if request.param == "engine":
            engine = await stack.enter_async_context(Engine.open(tmp_path / "root"))
            yield Victim(engine, tmp_path / "root", None)
        else:
            daemon: LaminaDaemon = request.getfixturevalue("attacked_daemon")
            client = await stack.enter_async_context(Client.connect(daemon.host))
            forget_peak(daemon)
            yield Victim(client, daemon.root, daemon)
