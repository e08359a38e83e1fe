"""How a stage's steps are told of at once, for displays of stages that run side by side."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Literal

from lamina.build.plan import PlannedStage
from lamina.progress import BuildStep, Report


@dataclass(slots=True)
class ToldStep:
    """A step that runs; whoever runs it says whether it came from the cache."""

    id: str
    is_cached: bool = False


class StepTeller:
    """Tells when the steps of one stage begin and end."""

    def __init__(
        self, planned: PlannedStage, report: Report, now: Callable[[], int], *, total: int
    ) -> None:
        self._first = planned.first_step
        self._total = total
        self._title = planned.stage.title
        self._texts = [planned.stage.origin.code, *(step.code for step in planned.steps)]
        self._report = report
        self._now = now

    @contextlib.asynccontextmanager
    async def telling(self, place: int) -> AsyncIterator[ToldStep]:
        """Tell of the step at `place`, 0 for the FROM, while the context lasts."""
        told = ToldStep(f"{self._title} {place + 1}")
        await self._tell(told, place, "started")
        try:
            yield told
        except Exception:
            await self._tell(told, place, "failed")
            raise
        await self._tell(told, place, "cached" if told.is_cached else "completed")

    async def _tell(
        self,
        told: ToldStep,
        place: int,
        state: Literal["started", "cached", "completed", "failed"],
    ) -> None:
        event = BuildStep(
            id=told.id,
            stage=self._title,
            number=self._first + place,
            total=self._total,
            text=self._texts[place],
            state=state,
            time=self._now(),
        )
        await self._report(event)
