"""How all prunes go: one of a kind at a time, each to its end, and what is told of it."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from lamina.errors import Conflict
from lamina.records.changes import AddEvent
from lamina.records.records import Records

__all__ = ["Prunes", "prune_event"]

T = TypeVar("T")


class Prunes:
    """The prunes of one kind."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._runs = False

    async def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do `work`, even if the caller is cancelled. Conflict if another is at it."""
        if self._runs:
            raise Conflict("a prune operation is already running")
        self._runs = True

        async def whole() -> T:
            try:
                return await work()
            finally:
                self._runs = False

        return await self._records.finish(whole())


def prune_event(type: str, freed: int, now: int) -> AddEvent:
    """The event of a prune of things of a type, which freed so many bytes."""
    return AddEvent(
        time=now,
        type=type,
        action="prune",
        actor_id="",
        attributes={"reclaimed": str(freed)},
    )
