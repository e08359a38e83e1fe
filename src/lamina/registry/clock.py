"""Time as the registry room sees it: passed in, so that what waits can be driven by a test."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Seconds since the epoch, seconds that never go back, and a way to wait."""

    def time(self) -> float:
        """Seconds since the epoch, for dates that servers send."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment, for expiry."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        ...


class SystemClock:
    """The machine's clock."""

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        await asyncio.sleep(seconds)
