"""What a build says, in the order of the Dockerfile, though its stages run side by side.

Each stage has a section. Only one section speaks at a time; what the others have to say is kept in
memory until their turn, and no stage waits for its turn: it may hold what the one that speaks
needs, such as a cache. Of what commands write only so much is kept.
"""

import asyncio
from collections.abc import Iterator
from typing import Final

from lamina.progress import Event, LayerProgress, Report, StreamText

MAX_KEPT: Final = 32 << 20
"""Bytes, about, of what commands write that are kept for later, in all sections of a build."""

_EVENT: Final = 256
"""Bytes, about, that an event takes beside its text."""


class Section:
    """One stage's part of the transcript."""

    def __init__(self, transcript: "Transcript") -> None:
        self._transcript = transcript
        self._kept = _Kept()
        self._turn = asyncio.Event()
        self._lock = asyncio.Lock()
        self._is_clipped = False
        self.is_closed = False

    async def tell(self, event: Event) -> None:
        """Say something, when it is this section's turn."""
        async with self._lock:
            if self._turn.is_set():
                await self._transcript.report(event)
            else:
                self._kept.add(event)

    async def text(self, text: str) -> None:
        """Say a text."""
        await self.tell(StreamText(text))

    async def output(self, text: str) -> None:
        """Say what a command writes; of very much, before its turn, only the beginning."""
        if self._turn.is_set() or self._transcript.has_room_for(text):
            await self.text(text)
        elif not self._is_clipped:
            self._is_clipped = True
            await self.text("\n[output clipped: there is more than can be kept for later]\n")

    async def close(self) -> None:
        """Say that there is no more; the next section may speak."""
        self.is_closed = True
        await self._transcript.go_on()

    async def begin(self) -> None:
        """Say what has waited, and speak from now on."""
        async with self._lock:
            for event in self._kept.taken():
                await self._transcript.report(event)
            self._turn.set()


class _Kept:
    """Events in their order; of the progress of one thing, only the latest."""

    def __init__(self) -> None:
        self._events: dict[object, Event] = {}

    def add(self, event: Event) -> None:
        key: object = len(self._events)
        if isinstance(event, LayerProgress):
            key = event.id, event.action
        self._events[key] = event

    def taken(self) -> Iterator[Event]:
        """All of them, which are kept no longer."""
        events, self._events = self._events, {}
        yield from events.values()


class Transcript:
    """The sections of a build, in order."""

    def __init__(self, report: Report, sections: int) -> None:
        self.report = report
        self.sections = tuple(Section(self) for _ in range(sections))
        self._begun = 0
        self._room = MAX_KEPT
        self._lock = asyncio.Lock()

    def has_room_for(self, text: str) -> bool:
        """Whether one more text may be kept; it counts from now on."""
        self._room -= size_of(text)
        return self._room >= 0

    async def go_on(self) -> None:
        """Let every section speak whose predecessors have ended."""
        async with self._lock:
            while self._begun < len(self.sections) and (
                not self._begun or self.sections[self._begun - 1].is_closed
            ):
                self._begun += 1
                await self.sections[self._begun - 1].begin()

    async def end_at(self, failed: int) -> None:
        """Say what sections have up to the one that failed, which is the last to be heard."""
        for section in self.sections[: failed + 1]:
            section.is_closed = True
        async with self._lock:
            while self._begun <= failed:
                self._begun += 1
                await self.sections[self._begun - 1].begin()


def red(text: str) -> str:
    """A text as the classic builder shows what comes from a standard error."""
    return f"\x1b[91m{text}\x1b[0m"


def size_of(text: str) -> int:
    """Bytes, about, that an event with this text takes."""
    return _EVENT + len(text)
