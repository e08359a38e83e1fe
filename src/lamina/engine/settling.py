"""Containers of processes that were killed, before this one opened the root or since.

Whoever opens a root brings those to rest that it finds; whose process is killed later is noticed
when somebody asks.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, TypeVar

from lamina.containers.containers import Containers
from lamina.containers.recovery import recover_containers
from lamina.errors import LaminaError

__all__ = ["Settling"]

T = TypeVar("T")

_INTERVAL: Final = 1.0
"""Seconds until somebody who waits notices that another process was killed."""


class Settling:
    """Brings containers to rest whose process is gone, before anything is told of them."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._turn = asyncio.Lock()

    async def settle(self) -> None:
        """Do it, if there are any; it goes on if the caller is cancelled."""
        containers = self._containers
        if containers.others_processes():
            # Who comes while another is at it waits: what it would see is not true any more.
            async with self._turn:
                if containers.others_processes() - containers.records.living():
                    await containers.records.finish(self.recover())

    async def recover(self) -> None:
        """Do it, whether there are any or not, and remove all that killed processes left."""
        try:
            await recover_containers(self._containers)
        except (LaminaError, OSError) as error:
            # Whoever asks for something else has it all the same, and the next one tries again.
            self._containers.parts.logger.warning("what killed processes left: %s", error)

    @asynccontextmanager
    async def first(self, context: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
        """Do it, and then enter a context."""
        await self.settle()
        async with context as entered:
            yield entered

    @asynccontextmanager
    async def meanwhile(self) -> AsyncIterator[None]:
        """Do it again and again: whoever waits for a container may outlive who runs it."""
        going_on = asyncio.create_task(self._go_on())
        try:
            yield
        finally:
            going_on.cancel()

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL)
            await self.settle()
