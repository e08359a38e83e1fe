"""The stages of a build, side by side: each waits for those it needs, and for nothing else."""

import asyncio
from dataclasses import dataclass
from functools import partial

from lamina.build.bases import BaseImages
from lamina.build.cache import LocalCache, NoCache, SourceCache, StepCache
from lamina.build.copying import Copier
from lamina.build.files import ContextFiles, Files, ImageFiles
from lamina.build.ledger import BuiltImage, Ledger
from lamina.build.mounted_trees import MountedTrees
from lamina.build.mounts import MountMaker
from lamina.build.parts import BuildParts
from lamina.build.plan import BuildPlan, PlannedStage, check_steps
from lamina.build.request import BuildRequest
from lamina.build.running import Runner
from lamina.build.stage import StageBuilder
from lamina.build.state import StageState, StageTools
from lamina.build.step_containers import StepContainers
from lamina.build.telling import StepTeller
from lamina.build.transcript import Section, Transcript
from lamina.dockerfile.ignore import IgnorePatterns
from lamina.errors import InvalidParameter
from lamina.oci.platform import Platform
from lamina.progress import Aux, Report


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildWork:
    """What all stages of one build share."""

    parts: BuildParts
    request: BuildRequest
    plan: BuildPlan
    context: ContextFiles
    ignore: IgnorePatterns | None
    platform: Platform
    ledger: Ledger
    report: Report


class Stages:
    """Builds the stages of a plan.

    `made` is what came of each so far, for the next attempt if this one fails; `bases` is what they
    began from, by their index.
    """

    def __init__(self, work: BuildWork) -> None:
        self._work = work
        self._results: dict[int, asyncio.Future[BuiltImage | None]] = {}
        self._images = BaseImages(
            work.parts.resources, work.parts.remotes, work.ledger, work.request
        )
        self._sources: list[BuiltImage] = []
        self._kept = StepContainers(work.parts.containers, work.ledger, work.request)
        self._runner = _runner(work, self._kept)
        self._copier = Copier(
            work.ledger.coming, work.parts.directory, work.parts.remotes.transport
        )
        self._steps = work.plan.total
        self.made: list[BuiltImage] = []
        self.bases: dict[int, BuiltImage | None] = {}

    async def build(self) -> BuiltImage | None:
        """All stages; the image of the target, None if it has none."""
        work, plan = self._work, self._work.plan
        if not work.request.nocache:
            self._sources = await self._images.cache_sources()
        loop = asyncio.get_running_loop()
        self._results = {one.stage.index: loop.create_future() for one in plan.stages}
        transcript = Transcript(work.report, len(plan.stages))
        await transcript.go_on()
        failures: list[tuple[int, Exception]] = []

        async def build(place: int, planned: PlannedStage) -> None:
            section = transcript.sections[place]
            try:
                image = await self._stage(planned, section, total=plan.total)
            except Exception as error:
                failures.append((place, error))
                raise
            self._results[planned.stage.index].set_result(image)
            await section.close()

        try:
            async with asyncio.TaskGroup() as group:
                for place, planned in enumerate(plan.stages):
                    group.create_task(build(place, planned))
        except ExceptionGroup:
            place, error = failures[0]
            await transcript.end_at(place)
            raise error from None
        return self._results[plan.target.stage.index].result()

    async def _stage(
        self, planned: PlannedStage, section: Section, *, total: int
    ) -> BuiltImage | None:
        """One stage; `total` is the number of steps that it counts its own among."""
        work = self._work
        number = planned.first_step
        await section.text(f"Step {number}/{total} : {planned.stage.origin.code}")
        await section.text("\n")
        steps = StepTeller(planned, work.report, work.parts.resources.now, total=total)
        async with steps.telling(0) as told:
            if planned.problem is not None:
                raise planned.problem
            base = await self._base(planned, section)
        self.bases[planned.stage.index] = base
        state = StageState(
            self._tools(planned, section),
            work.plan.arguments.stage(),
            escape=work.plan.dockerfile.escape,
            platform=planned.platform or work.platform,
            base=base,
        )
        state.step_id = told.id
        builder = StageBuilder(planned, state)
        self._count(len(builder.triggers))
        try:
            await builder.run_triggers()
            shown = "" if builder.image is None else builder.image.id.short
            await section.text(f" ---> {shown}\n")
            for offset, instruction in enumerate(planned.steps, 1):
                async with steps.telling(offset) as told:
                    told.is_cached = await builder.run_step(
                        instruction, number=number + offset, total=total, step_id=told.id
                    )
            await builder.finish()
        finally:
            if builder.image is not None:
                self.made.append(builder.image)
        if builder.image is not None:
            await section.tell(Aux({"ID": str(builder.image.id)}))
        return builder.image

    def _count(self, more: int) -> None:
        """Count steps that only bases ask for. Raises InvalidParameter if it gets too many."""
        self._steps += more
        check_steps(self._steps)

    async def _base(self, planned: PlannedStage, section: Section) -> BuiltImage | None:
        if planned.base_stage is not None:
            return await self._result(planned.base_stage.index, section)
        if planned.is_scratch:
            return None
        asked = planned.platform or self._work.request.platform
        return await self._images.get(planned.base, platform=asked, report=section.tell)

    async def _result(self, index: int, section: Section) -> BuiltImage | None:
        """The image of a stage that comes before.

        One that nothing in the file needs, but the trigger of a base, is built now, as a part of
        the stage that needs it.
        """
        other = self._work.plan.other(index)
        if other is not None and index not in self._results:
            result = self._results[index] = asyncio.get_running_loop().create_future()
            steps = len(other.steps) + 1
            try:
                self._count(steps)
                image = await self._stage(other, section, total=steps)
            except BaseException:
                del self._results[index]
                result.cancel()
                raise
            result.set_result(image)
        return await asyncio.shield(self._results[index])

    def _tools(self, planned: PlannedStage, section: Section) -> StageTools:
        work = self._work
        return StageTools(
            request=work.request,
            ledger=work.ledger,
            cache=self._cache(planned),
            shared=work.parts.shared,
            section=section,
            report=work.report,
            runner=self._runner,
            kept=self._kept,
            copier=self._copier,
            files=partial(self._files, planned, section),
            files_of=self._files_of,
            now=work.parts.resources.now,
            version=work.parts.version,
        )

    def _cache(self, planned: PlannedStage) -> StepCache:
        work = self._work
        if work.request.nocache:
            return NoCache()
        resources = work.parts.resources
        local = LocalCache(
            resources.records,
            resources.configs,
            platform=planned.platform or work.platform,
            created=work.request.created,
        )
        return SourceCache(local, self._sources) if work.request.cache_from else local

    async def _files(self, planned: PlannedStage, section: Section, name: str) -> Files:
        """The files that ``from=name`` means in a stage. Raises LaminaError."""
        if not name:
            return self._work.context
        try:
            stage = self._work.plan.dockerfile.find(name, before=planned.stage.index)
        except InvalidParameter:
            is_this = (name.lstrip("0") or "0") == str(planned.stage.index)
            problem = "refers to current build stage" if is_this else "index out of bounds"
            raise InvalidParameter(problem) from None
        if stage is not None:
            image = await self._result(stage.index, section)
        else:
            image = await self._images.get(name, platform=planned.platform, report=section.tell)
        return await self._files_of(image, name)

    async def _files_of(self, image: BuiltImage | None, name: str = "the image") -> Files:
        parts = self._work.parts
        return await ImageFiles.of(name, image, parts.indexes, parts.resources.blobs)


def _runner(work: BuildWork, kept: StepContainers) -> Runner:
    parts, request = work.parts, work.request
    maker = MountMaker(
        MountedTrees(parts.containers),
        parts.caches,
        directory=parts.directory,
        secrets=request.secrets,
        agents=request.ssh,
    )
    return Runner(
        parts.resources,
        parts.workshop,
        work.ledger,
        request,
        maker,
        allow_insecure=parts.allow_insecure,
        containers=parts.containers,
        kept=kept,
    )
