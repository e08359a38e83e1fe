"""What one process knows of a container beside its record: while it runs, and while one waits."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from lamina.containers.broadcast import Broadcast
from lamina.models import Health, HealthcheckResult
from lamina.runtime.sandbox import Sandbox
from lamina.runtime.stdio import Inlet

__all__ = ["HealthState", "Live"]


@dataclass(slots=True)
class HealthState:
    """How a container is by now."""

    status: str = "starting"
    failing: int = 0
    results: list[HealthcheckResult] = field(default_factory=list)

    def model(self) -> Health:
        """As it is told."""
        return Health(status=self.status, failing_streak=self.failing, log=list(self.results))


class Live:
    """The live side of a container; it stays the same over stops and starts."""

    def __init__(self, id: str) -> None:
        self.id: Final = id
        self.lock: Final = asyncio.Lock()
        """Held while the container changes from one state to another."""
        self.output: Final = Broadcast()
        self.sandbox: Sandbox | None = None
        """None while it does not run."""
        self.watching: asyncio.Task[None] | None = None
        """Waits for its end, and does what is to be done then."""
        self.health: HealthState | None = None
        """How its health checks find it, if it has any."""
        self.pauses = 0
        """Grows when it is about to be paused, and when it goes on: odd while it may be paused."""
        self.stays = False
        """Whether it is not removed when it ends, though it is to be: it is being restarted."""
        self.rootfs_users = 0
        """How many use its root filesystem while it does not run."""
        self.delay = 0.0
        """Seconds until its restart policy starts it again."""
        self._exited: asyncio.Future[int] | None = None
        self._removed: asyncio.Future[int] | None = None
        self._started: asyncio.Future[None] | None = None
        self._written: asyncio.Future[None] | None = None

    # Waiting; each future is made when somebody waits for it.

    def exit(self) -> asyncio.Future[int]:
        """The status of the next end."""
        if self._exited is None or self._exited.done():
            self._exited = asyncio.get_running_loop().create_future()
        return self._exited

    def removal(self) -> asyncio.Future[int]:
        """The status of the last end, when the container is gone."""
        if self._removed is None:
            self._removed = asyncio.get_running_loop().create_future()
        return self._removed

    async def inlet(self) -> Inlet | None:
        """What it reads, when it runs; None if it ends before, or reads nothing."""
        while self.sandbox is None:
            if self._removed is not None and self._removed.done():
                return None
            if self._started is None or self._started.done():
                self._started = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._started)
        return self.sandbox.stdin

    def more(self) -> asyncio.Future[None] | None:
        """For who reads its log: done when something was written, or it has ended; None then."""
        if self.sandbox is None:
            return None
        if self._written is None or self._written.done():
            self._written = asyncio.get_running_loop().create_future()
        return self._written

    # What happens to it.

    def has_started(self, sandbox: Sandbox) -> None:
        """It runs."""
        self.sandbox = sandbox
        self.pauses += self.pauses % 2
        _settle(self._started)

    def has_written(self) -> None:
        """There is more in its log."""
        _settle(self._written)

    def has_exited(self, code: int) -> None:
        """It does not run any more."""
        self.sandbox = None
        _settle(self._written)
        if self._exited is not None and not self._exited.done():
            self._exited.set_result(code)

    def is_removed(self, code: int) -> None:
        """It is gone."""
        if not self.removal().done():
            self.removal().set_result(code)
        _settle(self._started)


def _settle(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
