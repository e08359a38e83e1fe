"""A clock that the tests drive: waiting takes no time and is written down."""

import asyncio


class TestClock:
    """Implements `lamina.registry.clock.Clock`."""

    __test__ = False

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.waits: list[float] = []

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)
