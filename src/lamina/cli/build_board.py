"""The steps of a build as they stand at a moment: what a live display draws. Pure."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal

from lamina.cli.plain_text import one_line, written
from lamina.progress import BuildOutput, BuildStep, Event, LayerProgress

State = Literal["running", "cached", "completed", "failed", "cancelled"]

_SECOND: Final = 1_000_000_000
_KEPT_LINES: Final = 1000
"""Of a step's output, in case it fails."""
_LONGEST_LINE: Final = 4096


@dataclass(slots=True)
class Step:
    """One step: what it is, and how far it has come. Times are unix nanoseconds."""

    stage: str
    number: int
    total: int
    text: str
    started: int
    ended: int | None = None
    state: State = "running"
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))
    """What it wrote, as a terminal may be shown it."""
    rest: str = ""
    """The beginning of a line."""

    @property
    def title(self) -> str:
        """The step on one line: ``[builder 2/5] RUN make``."""
        first = " ".join(self.text.split())
        return one_line(f"[{self.stage} {self.number}/{self.total}] {first}")

    def seconds(self, now: int) -> float:
        """How long it took, or has taken until now."""
        return max((now if self.ended is None else self.ended) - self.started, 0) / _SECOND

    def write(self, text: str) -> None:
        """Take some of its output."""
        *lines, rest = (self.rest + text.replace("\r\n", "\n")).split("\n")
        self.lines.extend(_shown(line) for line in lines)
        self.rest = rest[-_LONGEST_LINE:]

    def last_lines(self, count: int) -> list[str]:
        """The end of its output, with the line that is being written."""
        lines = [*self.lines, _shown(self.rest)] if self.rest else list(self.lines)
        return lines[-count:] if count else []


class Board:
    """All steps, in the order in which they began. A thread may look at it while it changes."""

    def __init__(self) -> None:
        self._steps: dict[str, Step] = {}
        self._pulling: dict[str, LayerProgress] = {}

    @property
    def steps(self) -> list[Step]:
        """The steps that have begun."""
        return list(self._steps.values())

    @property
    def pulling(self) -> list[LayerProgress]:
        """Layers that come from a registry, until the next step begins."""
        return list(self._pulling.values())

    def take(self, event: Event) -> None:
        """Learn of an event; those of no step change nothing."""
        match event:
            case BuildStep():
                self._step(event)
            case BuildOutput(id, text):
                if (step := self._steps.get(id)) is not None:
                    step.write(text)
            case LayerProgress():
                self._pulling[event.id] = event
            case _:
                pass

    def end(self, now: int) -> None:
        """Say that the build is over: what still runs was cancelled."""
        for step in self.steps:
            if step.state == "running":
                step.state, step.ended = "cancelled", now

    @property
    def is_over(self) -> bool:
        """Whether nothing runs at the moment."""
        return all(step.state != "running" for step in self.steps)

    def failed(self) -> Step | None:
        """The step that failed, if one did."""
        return next((step for step in self.steps if step.state == "failed"), None)

    @property
    def total(self) -> int:
        """How many steps there will be, as far as that is known."""
        return max((step.total for step in self.steps), default=0)

    def stages(self) -> dict[str, list[Step]]:
        """The steps by stage."""
        stages: dict[str, list[Step]] = {}
        for step in self.steps:
            stages.setdefault(step.stage, []).append(step)
        return stages

    def _step(self, event: BuildStep) -> None:
        if event.state == "started":
            self._pulling.clear()
            self._steps[event.id] = Step(
                event.stage, event.number, event.total, event.text, event.time
            )
        elif (step := self._steps.get(event.id)) is not None:
            step.state, step.ended = event.state, event.time


def summary(board: Board, seconds: float) -> list[str]:
    """How long the build and each of its stages took, and what of it came from the cache."""
    steps = board.steps
    cached = sum(step.state == "cached" for step in steps)
    count = f"{len(steps)} step{'s' * (len(steps) != 1)}"
    lines = [f"{seconds:.1f}s: {count}, {cached} from the cache"]
    stages = board.stages()
    if len(stages) > 1:
        for stage, of_stage in stages.items():
            begun = min(step.started for step in of_stage)
            ended = max(step.ended or step.started for step in of_stage)
            lines.append(f"  {one_line(stage)}: {(ended - begun) / _SECOND:.1f}s")
    return lines


def _shown(line: str) -> str:
    """A line as it can be drawn: what came after its last carriage return."""
    line = line.rstrip("\r").rpartition("\r")[2][-_LONGEST_LINE:]
    return written(line).expandtabs()
