"""`build_image`: a whole build, from the request to the tags on its result."""

import io
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from lamina.build.checking import check_plan, tell
from lamina.build.comments import empty_continuations
from lamina.build.context import spooled
from lamina.build.exporting import Exporter
from lamina.build.files import ContextFiles, ImageFiles
from lamina.build.flattening import squash, squashed
from lamina.build.ledger import BuiltImage, Ledger
from lamina.build.outputs import Export, check_outputs
from lamina.build.parts import BuildParts
from lamina.build.plan import BuildPlan, declared_names, plan_build
from lamina.build.remote import RemoteContext, remote_context
from lamina.build.request import BuildRequest
from lamina.build.source import read_dockerfile
from lamina.build.stages import BuildWork, Stages
from lamina.build.transcript import MAX_KEPT, red, size_of
from lamina.content.threads import run_to_end
from lamina.dockerfile.buildargs import BuildArguments, platform_arguments
from lamina.dockerfile.stages import Dockerfile
from lamina.errors import LaminaError
from lamina.oci.platform import Platform, host
from lamina.oci.reference import Reference
from lamina.progress import Aux, BuildArchive, Event, Report, StreamText
from lamina.snapshots.stopping import Stop
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
        dockerfile, ignore = await run_to_end(partial(read_dockerfile, context, path))
        if ignore is not None:
            stop = Stop()
            without_ignored = partial(context.without_ignored, ignore, stop)
            context = await run_to_end(without_ignored, stop=stop.set)
        platform = (request.platform or parts.resources.platform).normalized()
        # In threads, since what a Dockerfile asks for may take its time.
        plan = await run_to_end(partial(_plan, dockerfile, request, platform))
        checked = partial(check_plan, plan, request, platform=platform, ignore=ignore)
        await run_to_end(checked)

        async def build(told: Report) -> str:
            async with parts.resources.incoming() as coming:
                work = BuildWork(
                    parts=parts,
                    request=request,
                    plan=plan,
                    context=ContextFiles(context),
                    ignore=ignore,
                    platform=platform,
                    ledger=Ledger(parts.resources, coming),
                    report=told,
                )
                return str((await _Build(work).run()).id)

        try:
            return await (_quietly(build, report) if request.quiet else build(report))
        finally:
            await _shrink_caches(parts)


async def _shrink_caches(parts: BuildParts) -> None:
    if parts.cache_limit is None:
        return
    try:
        await parts.caches.shrink(parts.cache_limit)
    except OSError:
        # The next build tries it again; this one has ended as it has.
        parts.containers.parts.logger.exception("the contents of cache mounts stay")


async def _quietly(build: Callable[[Report], Awaitable[str]], report: Report) -> str:
    """A build that says nothing but its image's ID, or all if it fails."""
    quiet = _Quiet(report)
    try:
        image_id = await build(quiet.hold)
    except Exception:
        await quiet.release()
        raise
    await report(StreamText(f"{image_id}\n"))
    return image_id


@asynccontextmanager
async def _context(
    parts: BuildParts, request: BuildRequest, body: ByteSource | None, report: Report
) -> AsyncIterator[RemoteContext]:
    if request.remote:
        transport = parts.remotes.transport
        coming = remote_context(transport, request.remote, parts.directory, report=report)
        async with coming as found:
            yield found
        return
    async with spooled(io.BytesIO() if body is None else body, parts.directory) as context:
        yield RemoteContext(context)


def _plan(dockerfile: Dockerfile, request: BuildRequest, platform: Platform) -> BuildPlan:
    predefined = platform_arguments(host().normalized(), platform, stage=request.target)
    arguments = BuildArguments(request.arguments, predefined)
    return plan_build(dockerfile, target=request.target, arguments=arguments, labels=request.labels)


class _Build:
    """One build on its way."""

    def __init__(self, work: BuildWork) -> None:
        self._work = work
        self._stages = Stages(work)

    async def run(self) -> BuiltImage:
        """All of it; the image of the target."""
        request, ledger = self._work.request, self._work.ledger
        await self._warn_of_empty_continuations()
        await self._global_arguments()
        try:
            result = await self._stages.build()
        except Exception:
            # What was made is there for the next attempt.
            await ledger.record(self._stages.made)
            raise
        if result is None:
            raise LaminaError("No image was generated. Is your Dockerfile empty?")
        work, made = self._work, self._stages.made
        checked = partial(check_plan, work.plan, request, platform=work.platform)
        bases = self._stages.bases
        warnings = await run_to_end(partial(checked, ignore=work.ignore, bases=bases))
        if request.squash:
            result = await self._squashed(result)
            made = [*made, result]
        outputs = check_outputs(request.outputs)
        tags = tuple(dict.fromkeys((*request.tags, *outputs.names)))
        await ledger.record(made, tags=tags, result=result)
        await self._export(result, outputs.exports)
        await self._tell_the_end(result, tags)
        await tell(warnings, result.id, work.report)
        return result

    async def _warn_of_empty_continuations(self) -> None:
        found = self._work.plan.dockerfile.document.empty_continuations
        if found:
            await self._text(red(empty_continuations([node.text for node, _ in found])))

    async def _global_arguments(self) -> None:
        plan = self._work.plan
        for number, argument in enumerate(plan.dockerfile.arguments, 1):
            await self._text(f"Step {number}/{plan.total} : {argument.code}")
            await self._text("\n")
            if number == plan.problem_step and plan.problem is not None:
                raise plan.problem

    async def _tell_the_end(self, result: BuiltImage, tags: Sequence[Reference]) -> None:
        request, plan = self._work.request, self._work.plan
        if unconsumed := request.unconsumed(declared_names(plan), plan.arguments.unconsumed):
            names = " ".join(unconsumed)
            await self._text(f"[Warning] One or more build-args [{names}] were not consumed\n")
        if request.squash:
            await self._work.report(Aux({"ID": str(result.id)}))
        await self._text(f"Successfully built {result.id.short}\n")
        for tag in tags:
            await self._text(f"Successfully tagged {tag.familiar}\n")

    async def _squashed(self, image: BuiltImage) -> BuiltImage:
        """The result with what its last stage made as one layer."""
        parts, ledger = self._work.parts, self._work.ledger
        base = self._stages.bases.get(self._work.plan.target.stage.index)
        above = BuiltImage(image.config, image.layers[len(base.layers) if base else 0 :])
        if not above.layers:
            return image
        files = await ImageFiles.of("the image", above, parts.indexes, parts.resources.blobs)
        indexes = await parts.indexes.of(above.layers)
        under = await ImageFiles.of("the base", base, parts.indexes, parts.resources.blobs)
        layer = await squash(
            files, indexes, over=under.view, coming=ledger.coming, scratch=parts.directory
        )
        epoch = self._work.request.epoch
        now = parts.resources.now() if epoch is None else epoch * 1_000_000_000
        return squashed(image, base, layer, now)

    async def _export(self, image: BuiltImage, exports: Sequence[Export]) -> None:
        parts = self._work.parts
        exporter = Exporter(
            id=image.id,
            layers=image.layers,
            names=self._work.request.tags,
            resources=parts.resources,
            indexes=parts.indexes,
            scratch=parts.directory,
        )
        for export in exports:
            await exporter.write(export, self._work.report)

    async def _text(self, text: str) -> None:
        await self._work.report(StreamText(text))


class _Quiet:
    """Holds back what a build says, in case it fails."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._held: deque[StreamText] = deque()
        self._size = 0

    async def hold(self, event: Event) -> None:
        """Keep a text; of very much text the beginning is forgotten. An archive goes through."""
        if isinstance(event, BuildArchive):
            await self._report(event)
        elif isinstance(event, StreamText):
            self._held.append(event)
            self._size += size_of(event.text)
            while self._size > MAX_KEPT:
                self._size -= size_of(self._held.popleft().text)

    async def release(self) -> None:
        """Say it after all."""
        for event in self._held:
            await self._report(event)
