"""What a build says, in the order of the Dockerfile, though its stages run side by side.

Each stage has a section. Only one section speaks at a time; what the others have to say waits in
memory until their turn, and a stage that says very much waits with it. A stage depends only on
earlier ones, so the one that speaks never waits for one that waits.
"""

import asyncio
from collections import deque

from lamina.progress import Event, LayerProgress, Report, StreamText

_PATIENCE = 4096
"""Events that a section keeps before its stage has to wait."""


class Section:
    """One stage's part of the transcript."""

    def __init__(self, transcript: "Transcript") -> None:
        self._transcript = transcript
        self._waiting: deque[Event] = deque()
        self._turn = asyncio.Event()
        self._lock = asyncio.Lock()
        self.is_closed = False

    async def tell(self, event: Event) -> None:
        """Say something, when it is this section's turn."""
        async with self._lock:
            if self._turn.is_set():
                await self._transcript.report(event)
                return
            last = self._waiting[-1] if self._waiting else None
            if _supersedes(event, last):
                self._waiting.pop()
            self._waiting.append(event)
        if len(self._waiting) >= _PATIENCE:
            await self._turn.wait()

    async def text(self, text: str) -> None:
        """Say a text."""
        await self.tell(StreamText(text))

    async def close(self) -> None:
        """Say that there is no more; the next section may speak."""
        self.is_closed = True
        await self._transcript.go_on()

    async def begin(self) -> None:
        """Say what has waited, and speak from now on."""
        async with self._lock:
            while self._waiting:
                await self._transcript.report(self._waiting.popleft())
            self._turn.set()


class Transcript:
    """The sections of a build, in order."""

    def __init__(self, report: Report, sections: int) -> None:
        self.report = report
        self.sections = tuple(Section(self) for _ in range(sections))
        self._begun = 0
        self._lock = asyncio.Lock()

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


def _supersedes(event: Event, last: Event | None) -> bool:
    """Whether nobody needs to hear `last` who hears `event`."""
    return (
        isinstance(event, LayerProgress)
        and isinstance(last, LayerProgress)
        and (event.id, event.action) == (last.id, last.action)
    )
