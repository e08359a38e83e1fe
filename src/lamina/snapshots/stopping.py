"""Work in threads that ends soon after it is no longer wanted."""

from collections.abc import Iterable, Iterator
from threading import Event
from typing import TypeVar

__all__ = ["Stop", "Stopped", "until_stopped"]

T = TypeVar("T")


class Stopped(Exception):
    """The work was given up; whoever stopped it knows why."""


class Stop:
    """Tells threads that their work is not wanted any more, and keeps the first reason."""

    def __init__(self) -> None:
        self._event = Event()
        self.cause: Exception | None = None
        """The failure that made it so; None if there was another reason."""

    def set(self) -> None:
        """End the work."""
        self._event.set()

    def fail(self, error: Exception) -> None:
        """End the work because of an error."""
        if not self._event.is_set():
            self.cause = error
        self._event.set()

    def is_set(self) -> bool:
        """Whether the work is to end."""
        return self._event.is_set()


def until_stopped(pieces: Iterable[T], stop: Stop) -> Iterator[T]:
    """Yield the pieces. Raises Stopped after `stop` was set."""
    for piece in pieces:
        if stop.is_set():
            raise Stopped
        yield piece
