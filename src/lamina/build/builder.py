"""`build_image`: a whole build, from the request to the tags on its result."""

import asyncio
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from lamina.build.bases import BaseImages
from lamina.build.cache import LocalCache, NoCache, SourceCache, StepCache
from lamina.build.context import BuildContext, spooled
from lamina.build.copying import Copier
from lamina.build.exporting import Destination, check_outputs, export
from lamina.build.files import ContextFiles, Files, ImageFiles
from lamina.build.flattening import squash, squashed
from lamina.build.ledger import BuiltImage, Ledger
from lamina.build.mounts import MountMaker
from lamina.build.parts import BuildParts
from lamina.build.plan import BuildPlan, PlannedStage, declared_names, plan_build
from lamina.build.remote import RemoteContext, remote_context
from lamina.build.request import BuildRequest
from lamina.build.running import Runner
from lamina.build.source import read_dockerfile
from lamina.build.stage import StageBuilder
from lamina.build.state import StageState, StageTools
from lamina.build.telling import StepTeller
from lamina.build.transcript import Section, Transcript
from lamina.dockerfile.buildargs import BuildArguments, platform_arguments
from lamina.errors import InvalidParameter, LaminaError
from lamina.oci.platform import Platform, host
from lamina.progress import Aux, Report, StreamText
from lamina.streams import ByteSource


async def build_image(
    parts: BuildParts, request: BuildRequest, body: ByteSource | None, *, report: Report
) -> str:
    """Build an image; returns its ID.

    An error before the first report is one of the request: a Dockerfile that is missing or wrong,
    a target that is not there. Raises LaminaError in dockerd's words, CommandFailed for a RUN.
    """
    request.epoch  # noqa: B018 - whether it is a time
    check_outputs(request.outputs)
    async with _context(parts, request, body, report) as found:
        context = found.context
        path = "" if found.is_dockerfile else request.dockerfile
        dockerfile, ignore = read_dockerfile(context, path)
        if ignore is not None:
            context = context.without_ignored(ignore)
        wanted = (request.platform or parts.resources.platform).normalized()
        predefined = platform_arguments(host().normalized(), wanted, stage=request.target)
        arguments = BuildArguments(request.arguments, predefined)
        plan = plan_build(
            dockerfile, target=request.target, arguments=arguments, labels=request.labels
        )
        quiet = _Quiet(report) if request.quiet else None
        told = quiet.hold if quiet else report
        build = _Build(parts, request, plan, context, platform=wanted, report=told)
        try:
            async with parts.resources.incoming() as coming:
                result = await build.run(Ledger(parts.resources, coming))
        except Exception:
            if quiet is not None:
                await quiet.release()
            raise
        finally:
            if parts.cache_limit is not None:
                await parts.caches.shrink(parts.cache_limit)
        if quiet is not None:
            await report(StreamText(f"{result.id}\n"))
        return str(result.id)


@asynccontextmanager
async def _context(
    parts: BuildParts, request: BuildRequest, body: ByteSource | None, report: Report
) -> AsyncIterator[RemoteContext]:
    if request.remote:
        async with remote_context(request.remote, parts.directory, report=report) as found:
            yield found
        return
    async with spooled(io.BytesIO() if body is None else body, parts.directory) as context:
        yield RemoteContext(context)


class _Build:
    """One build on its way."""

    def __init__(
        self,
        parts: BuildParts,
        request: BuildRequest,
        plan: BuildPlan,
        context: BuildContext,
        *,
        platform: Platform,
        report: Report,
    ) -> None:
        self._context_files = ContextFiles(context)
        self._parts = parts
        self._request = request
        self._plan = plan
        self._platform = platform
        self._report = report
        self._transcript = Transcript(report, len(plan.stages))
        self._results: dict[int, asyncio.Future[BuiltImage | None]] = {}
        self._made: list[BuiltImage] = []
        self._bases: dict[int, BuiltImage | None] = {}

    async def run(self, ledger: Ledger) -> BuiltImage:
        """All of it; the image of the target."""
        request, plan = self._request, self._plan
        await self._global_arguments()
        bases = BaseImages(self._parts.resources, self._parts.remotes, ledger, request)
        sources = [] if request.nocache else await bases.cache_sources()
        try:
            result = await self._stages(ledger, bases, sources)
        except Exception:
            # What was made is there for the next attempt.
            await ledger.record(self._made)
            raise
        if result is None:
            raise LaminaError("No image was generated. Is your Dockerfile empty?")
        if request.squash:
            result = await self._squashed(ledger, result)
            self._made.append(result)
        destinations = check_outputs(request.outputs)
        tags = (*request.tags, *(name for one in destinations for name in one.names))
        await ledger.record(self._made, tags=tags, result=result)
        await self._export(result, destinations)
        declared = declared_names(plan)
        if unconsumed := request.unconsumed(declared, plan.arguments.unconsumed):
            names = " ".join(unconsumed)
            await self._text(f"[Warning] One or more build-args [{names}] were not consumed\n")
        if request.squash:
            await self._report(Aux({"ID": str(result.id)}))
        await self._text(f"Successfully built {result.id.short}\n")
        for tag in tags:
            await self._text(f"Successfully tagged {tag.familiar}\n")
        return result

    async def _squashed(self, ledger: Ledger, image: BuiltImage) -> BuiltImage:
        """The result with what its last stage made as one layer."""
        parts, base = self._parts, self._bases.get(self._plan.target.stage.index)
        above = BuiltImage(image.config, image.layers[len(base.layers) if base else 0 :])
        if not above.layers:
            return image
        files = await ImageFiles.of("the image", above, parts.indexes, parts.resources.blobs)
        indexes = await parts.indexes.of(above.layers)
        under = await ImageFiles.of("the base", base, parts.indexes, parts.resources.blobs)
        layer = await squash(
            files, indexes, over=under.view, coming=ledger.coming, scratch=parts.directory
        )
        epoch = self._request.epoch
        now = parts.resources.now() if epoch is None else epoch * 1_000_000_000
        return squashed(image, base, layer, now)

    async def _export(self, image: BuiltImage, destinations: Sequence[Destination]) -> None:
        parts = self._parts
        if not any(one.path for one in destinations):
            return
        files = await ImageFiles.of("the image", image, parts.indexes, parts.resources.blobs)
        indexes = await parts.indexes.of(image.layers)
        for one in destinations:
            await export(
                one,
                str(image.id),
                files,
                indexes,
                resources=parts.resources,
                scratch=parts.directory,
            )

    async def _text(self, text: str) -> None:
        await self._report(StreamText(text))

    async def _global_arguments(self) -> None:
        plan = self._plan
        for number, argument in enumerate(plan.dockerfile.arguments, 1):
            await self._text(f"Step {number}/{plan.total} : {argument.code}")
            await self._text("\n")
            if number == plan.problem_step and plan.problem is not None:
                raise plan.problem

    async def _stages(
        self, ledger: Ledger, bases: BaseImages, sources: list[BuiltImage]
    ) -> BuiltImage | None:
        loop = asyncio.get_running_loop()
        self._results = {one.stage.index: loop.create_future() for one in self._plan.stages}
        await self._transcript.go_on()
        failures: list[tuple[int, Exception]] = []
        runner = self._runner(ledger)
        copier = Copier(ledger.coming, self._parts.directory)

        async def build(place: int, planned: PlannedStage) -> None:
            section = self._transcript.sections[place]
            tools = StageTools(
                request=self._request,
                ledger=ledger,
                cache=self._cache(planned, sources),
                shared=self._parts.shared,
                section=section,
                report=self._report,
                runner=runner,
                copier=copier,
                files=partial(self._files, bases, planned, section),
                files_of=self._files_of,
                now=self._parts.resources.now,
                version=self._parts.version,
            )
            try:
                image = await self._stage(planned, tools, bases)
            except Exception as error:
                failures.append((place, error))
                raise
            self._results[planned.stage.index].set_result(image)
            await section.close()

        try:
            async with asyncio.TaskGroup() as group:
                for place, planned in enumerate(self._plan.stages):
                    group.create_task(build(place, planned))
        except ExceptionGroup:
            place, error = failures[0]
            await self._transcript.end_at(place)
            raise error from None
        return self._results[self._plan.target.stage.index].result()

    def _cache(self, planned: PlannedStage, sources: list[BuiltImage]) -> StepCache:
        request = self._request
        if request.nocache:
            return NoCache()
        resources = self._parts.resources
        local = LocalCache(
            resources.records,
            resources.configs,
            platform=planned.platform or self._platform,
            created=request.created,
        )
        return SourceCache(local, sources) if request.cache_from else local

    async def _stage(
        self, planned: PlannedStage, tools: StageTools, bases: BaseImages
    ) -> BuiltImage | None:
        plan, section = self._plan, tools.section
        number = planned.first_step
        await section.text(f"Step {number}/{plan.total} : {planned.stage.origin.code}")
        await section.text("\n")
        steps = StepTeller(planned, self._report, self._parts.resources.now)
        platform = planned.platform or self._platform
        async with steps.telling(0):
            if planned.problem is not None:
                raise planned.problem
            base = await self._base(planned, platform, bases, tools)
        self._bases[planned.stage.index] = base
        state = StageState(
            tools,
            plan.arguments.stage(),
            escape=plan.dockerfile.escape,
            platform=platform,
            base=base,
        )
        builder = StageBuilder(planned, state)
        try:
            await builder.run_triggers()
            shown = "" if builder.image is None else builder.image.id.short
            await section.text(f" ---> {shown}\n")
            for offset, instruction in enumerate(planned.steps, 1):
                async with steps.telling(offset) as told:
                    told.is_cached = await builder.run_step(
                        instruction, number=number + offset, total=plan.total, step_id=told.id
                    )
            await builder.finish()
        finally:
            if builder.image is not None:
                self._made.append(builder.image)
        if builder.image is not None:
            await section.tell(Aux({"ID": str(builder.image.id)}))
        return builder.image

    async def _base(
        self,
        planned: PlannedStage,
        platform: Platform,
        bases: BaseImages,
        tools: StageTools,
    ) -> BuiltImage | None:
        if planned.base_stage is not None:
            return await asyncio.shield(self._results[planned.base_stage.index])
        if planned.is_scratch:
            return None
        is_asked = planned.platform or self._request.platform
        return await bases.get(
            planned.base,
            platform=platform if is_asked else None,
            report=tools.section.tell,
        )

    def _runner(self, ledger: Ledger) -> Runner:
        parts, request = self._parts, self._request
        maker = MountMaker(
            parts.workshop,
            parts.caches,
            directory=parts.directory,
            secrets=request.secrets,
            agents=request.ssh,
        )
        return Runner(
            parts.resources,
            parts.workshop,
            ledger,
            request,
            maker,
            allow_insecure=parts.allow_insecure,
        )

    async def _files(
        self, bases: BaseImages, planned: PlannedStage, section: Section, name: str
    ) -> Files:
        """The files that ``from=name`` means in a stage. Raises LaminaError."""
        if not name:
            return self._context_files
        try:
            stage = self._plan.dockerfile.find(name, before=planned.stage.index)
        except InvalidParameter:
            raise InvalidParameter("index out of bounds") from None
        if stage is not None:
            image = await asyncio.shield(self._results[stage.index])
        else:
            image = await bases.get(name, platform=planned.platform, report=section.tell)
        return await self._files_of(image, name)

    async def _files_of(self, image: BuiltImage | None, name: str = "the image") -> Files:
        parts = self._parts
        return await ImageFiles.of(name, image, parts.indexes, parts.resources.blobs)


class _Quiet:
    """Holds back what a build says, in case it fails."""

    _ENOUGH = 100_000

    def __init__(self, report: Report) -> None:
        self._report = report
        self._held: list[StreamText] = []

    async def hold(self, event: object) -> None:
        """Keep a text; of very much text the beginning is forgotten."""
        if isinstance(event, StreamText):
            self._held.append(event)
            if len(self._held) > self._ENOUGH:
                del self._held[: self._ENOUGH // 2]

    async def release(self) -> None:
        """Say it after all."""
        for event in self._held:
            await self._report(event)
