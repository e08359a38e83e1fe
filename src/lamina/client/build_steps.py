"""The steps of a build, read out of the text in which an engine tells of it. Pure.

The classic builder's messages are for people: ``Step 2/5 : RUN make``, `` ---> Running in 3f…``,
what the command writes, `` ---> 4a…``. They come in the Dockerfile's order, also from engines that
build stages side by side. A command may write what looks like the end of its step; whoever shows it
is fooled then, and nobody else.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

from lamina.progress import BuildOutput, BuildStep, Event, StreamText

_STEP: Final = re.compile(r"Step (\d+)/(\d+) : (\S.*)", re.DOTALL)
_RUNNING: Final = re.compile(r" ---> Running in [0-9a-f]{12}\n")
_REMOVED: Final = re.compile(r"Removing intermediate container [0-9a-f]{12}\n")
_IMAGE: Final = re.compile(r" ---> (?:[0-9a-f]{12})?\n")
_CACHED: Final = " ---> Using cache\n"
_RED, _PLAIN = "\x1b[91m", "\x1b[0m"
"""Around what comes from stderr."""


@dataclass(frozen=True, slots=True)
class _Step:
    """The step that is being made."""

    id: str
    stage: str
    number: int
    total: int
    text: str
    is_cached: bool = False
    writes: bool = False

    @property
    def is_from(self) -> bool:
        return self.text[:5].upper().split() == ["FROM"]


class StepReader:
    """Reads one build's events; `now` gives unix nanoseconds."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._step: _Step | None = None
        self._stage = ""
        self._stages = 0
        self._of_stage = 0

    def read(self, event: Event) -> Iterator[Event]:
        """What an event tells of steps."""
        if not isinstance(event, StreamText):
            return
        if self._step is None:
            if match := _STEP.fullmatch(event.text):
                yield from self._begin(int(match[1]), int(match[2]), match[3])
        else:
            yield from self._go_on(self._step, event.text)

    def fail(self) -> Iterator[Event]:
        """What it tells that the build has failed."""
        if self._step is not None:
            yield self._told(self._step, "failed")
            self._step = None

    def _begin(self, number: int, total: int, text: str) -> Iterator[Event]:
        step = _Step("", "", number, total, text)
        if step.is_from:
            self._stage = _name(text) or f"stage-{self._stages}"
            self._stages += 1
            self._of_stage = 0
        if not self._stage:
            return  # an ARG before the first FROM
        self._of_stage += 1
        self._step = replace(step, id=f"{self._stage} {self._of_stage}", stage=self._stage)
        yield self._told(self._step, "started")

    def _go_on(self, step: _Step, text: str) -> Iterator[Event]:
        if text == _CACHED:
            # That of a FROM is about the triggers of its base.
            self._step = replace(step, is_cached=not step.is_from)
        elif _IMAGE.fullmatch(text):
            self._step = None
            yield self._told(step, "cached" if step.is_cached else "completed")
        elif _RUNNING.fullmatch(text):
            self._step = replace(step, writes=True)
        elif _REMOVED.fullmatch(text):
            self._step = replace(step, writes=False)
        elif step.writes:
            is_stderr = text.startswith(_RED) and text.endswith(_PLAIN)
            shown = text[len(_RED) : -len(_PLAIN)] if is_stderr else text
            yield BuildOutput(step.id, shown, is_stderr)

    def _told(
        self, step: _Step, state: Literal["started", "cached", "completed", "failed"]
    ) -> BuildStep:
        return BuildStep(
            id=step.id,
            stage=step.stage,
            number=step.number,
            total=step.total,
            text=step.text,
            state=state,
            time=self._now(),
        )


def _name(text: str) -> str:
    """The name that a FROM gives its stage, if it does."""
    words = text.split()
    return words[-1].lower() if len(words) > 3 and words[-2].upper() == "AS" else ""
