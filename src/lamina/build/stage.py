"""One stage: its steps one after another, each taken from the cache or made."""

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec.structs import replace

from lamina.build.cache import SharedSteps, StepCache, StepKey, comparable
from lamina.build.commands import RunArguments, flag_words, shell_line
from lamina.build.comments import command_comment, comment_of, overridden
from lamina.build.copying import Copier, CopyStep
from lamina.build.files import Files
from lamina.build.ledger import BuiltImage, Ledger
from lamina.build.mounts import FileTree, RunMounts
from lamina.build.plan import PlannedStage
from lamina.build.request import BuildRequest
from lamina.build.running import Command, Runner
from lamina.build.settings import check_settings
from lamina.build.transcript import Section
from lamina.dockerfile import instructions as ins
from lamina.dockerfile.buildargs import StageArguments
from lamina.dockerfile.changes import ConfigEditor
from lamina.dockerfile.mounts import Expand, Mount, MountType
from lamina.dockerfile.shellwords import Expander, environment
from lamina.dockerfile.source import DockerfileError
from lamina.dockerfile.stages import parse_trigger
from lamina.errors import InvalidParameter, LaminaError
from lamina.oci.config import ContainerConfig, Healthcheck, ImageConfig
from lamina.oci.platform import Platform
from lamina.progress import Report
from lamina.records.catalogue import Layer

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTools:
    """What a stage works with."""

    request: BuildRequest
    ledger: Ledger
    cache: StepCache
    shared: SharedSteps
    section: Section
    report: Report
    """For what is told at once, not in its turn."""
    runner: Runner
    copier: Copier
    files: Callable[[str], Awaitable[Files]]
    """What a ``from`` means; empty: the context."""
    files_of: Callable[[BuiltImage | None], Awaitable[Files]]
    """The files of an image that was built."""
    now: Callable[[], int]
    version: str


class StageBuilder:
    """Builds one stage; `image` is the one so far, None while there is nothing."""

    def __init__(
        self,
        planned: PlannedStage,
        tools: StageTools,
        arguments: StageArguments,
        *,
        escape: str,
        platform: Platform,
        base: BuiltImage | None,
    ) -> None:
        self._planned = planned
        self._tools = tools
        self._arguments = arguments
        self._escape = escape
        self._platform = platform
        self.image = base
        self.was_cached = False
        """Whether the step before was taken from the cache."""
        self.step_id = ""
        """By which a step's output is told of; set before each."""
        self._author = ""
        self._cache_is_busted = False
        self._secured = base
        config = base.config.config if base is not None else ContainerConfig()
        self._triggers = config.on_build or ()
        self._editor = ConfigEditor(
            _beginning(config), Expander(escape=escape), arguments=lambda: arguments.values
        )
        self._follow()

    async def run_triggers(self) -> None:
        """The ONBUILD instructions of the base, as a part of the FROM."""
        if not self._triggers:
            return
        section = self._tools.section
        await section.text(f"# Executing {len(self._triggers)} build trigger")
        if len(self._triggers) > 1:
            await section.text("s")
        await section.text("\n")
        for text in self._triggers:
            await self.dispatch(parse_trigger(text, self._planned.stage.lines, escape=self._escape))

    async def run_step(self, instruction: ins.Instruction, *, number: int, total: int) -> None:
        """One step behind the FROM; `number` and `total` are of the whole build."""
        section = self._tools.section
        await section.text(f"Step {number}/{total} : {instruction.code}")
        await section.text("\n")
        await self.dispatch(instruction)
        assert self.image is not None
        await section.text(f" ---> {self.image.id.short}\n")

    async def finish(self) -> None:
        """The end of the stage: what it took from the cache stays until the build has ended."""
        await self._secure()

    async def dispatch(self, instruction: ins.Instruction) -> None:
        """Make the instruction's change. Raises LaminaError."""
        self.was_cached = False
        match instruction:
            case ins.Arg():
                await self._arg(instruction)
            case ins.Workdir():
                await self._workdir(instruction)
            case ins.Run():
                await self._run(instruction)
            case ins.Copy() | ins.Add():
                await self._transfer(instruction)
            case _:
                await self._configure(instruction)
        self._follow()

    # The steps.

    async def _configure(self, instruction: ins.Instruction) -> None:
        before = self._editor.config.healthcheck
        expanded = self._editor.apply(instruction)
        config = self._editor.config
        match expanded:
            case ins.Maintainer(maintainer=name):
                self._author = name
            case ins.Healthcheck(config=healthcheck):
                if note := overridden(before):
                    await self._tools.section.text(note)
                inherited = _inherited(healthcheck, before)
                self._editor.config = replace(config, healthcheck=inherited)
            case _:
                pass
        if isinstance(expanded, ins.Cmd):
            comment = command_comment(expanded, config.cmd or ())
        elif isinstance(expanded, ins.Entrypoint):
            if not expanded.command.words:
                # The classic builder has none then, where a commit has an empty one.
                self._editor.config = replace(config, entrypoint=None)
            comment = command_comment(expanded, config.entrypoint or ())
        else:
            comment = comment_of(expanded)
        await self._commit((*self._editor.shell, "#(nop) ", comment), self._no_layer)

    async def _arg(self, instruction: ins.Arg) -> None:
        expanded = []
        expand = self._expand_at(instruction)
        for argument in instruction.arguments:
            one = argument.expanded(expand)
            self._arguments.declare(one)
            expanded.append(one)
        comment = comment_of(ins.Arg(instruction.node, tuple(expanded)))
        await self._commit((*self._editor.shell, "#(nop) ", comment), self._no_layer)

    async def _workdir(self, instruction: ins.Workdir) -> None:
        self._editor.apply(instruction)
        comment = f"#(nop) WORKDIR {self._editor.config.working_dir}"

        async def make(now: int) -> Layer | None:
            base = await self._tools.files_of(self.image)
            return await self._tools.copier.working_directory(
                self._editor.config.working_dir, base, now=now, latest=self._latest
            )

        await self._commit((*self._editor.shell, comment), make)

    async def _transfer(self, instruction: ins.Copy | ins.Add) -> None:
        expanded = instruction.expanded(self._expand_at(instruction))
        in_text = Expander(escape=self._escape, quotes_are_text=True)
        variables = self._editor.variables
        expanded = expanded.with_files_expanded(lambda text: in_text.expand(text, variables).text)
        name = expanded.source_from if isinstance(expanded, ins.Copy) else ""
        files = await self._source(name)
        async with AsyncExitStack() as stack:
            copied = await self._tools.copier.find(
                expanded, files, stack, report=self._tools.section.tell
            )
            await self._copy(copied)

    async def _copy(self, copied: CopyStep) -> None:
        config = self._editor.config
        step = replace(config, cmd=(*self._editor.shell, f"#(nop) {copied.comment}"))
        if await self._take_from_cache(step):
            return
        created, _ = self._moment(step)

        async def work() -> BuiltImage:
            base = await self._tools.files_of(self.image)
            layer = await self._tools.copier.copy(
                copied,
                base,
                working_dir=config.working_dir,
                now=unix_ns(created),
                latest=self._latest,
            )
            image = self._derived(step, layer, created)
            await self._tools.ledger.record([image])
            return image

        await self._make(step, work)

    async def _source(self, name: str) -> Files:
        """What ``--from`` means. Raises LaminaError in dockerd's words."""
        try:
            return await self._tools.files(name)
        except LaminaError as error:
            raise LaminaError(f"invalid from flag value {name}: {error}") from error

    def _expand_at(self, instruction: ins.Instruction) -> Expand:
        def expand(word: str) -> str:
            try:
                return self._editor.expand(word)
            except DockerfileError as error:
                raise error.on(instruction.lines) from None

        return expand

    async def _run(self, instruction: ins.Run) -> None:
        if instruction.devices:
            raise InvalidParameter("the --device option is not supported")
        mounts = instruction.mounts(self._expand_at(instruction))
        trees: dict[str, FileTree] = {}
        digests: dict[Mount, str] = {}
        for mount in mounts:
            if mount.type is MountType.BIND or mount.source_from:
                files = await self._tools.files(mount.source_from)
                trees[mount.source_from] = FileTree(files.name, files.layers)
                digests[mount] = await self._tools.copier.digest_of(files, mount.source or "/")
        config = self._editor.config
        line = shell_line(instruction.command, self._editor.shell)
        arguments = RunArguments.of(self._arguments, config)
        flags = flag_words(instruction, mounts, digests)
        step = replace(config, cmd=(*flags, *arguments.recorded(line.words)), entrypoint=None)
        if await self._take_from_cache(step):
            return
        created, container = self._moment(step)
        section, request = self._tools.section, self._tools.request
        check_settings(request.run)
        await section.text(f" ---> Running in {container[:12]}\n")
        command = Command(
            argv=line.argv,
            env=(*(config.env or ()), *arguments.environment),
            config=config,
            hostname=container[:12],
            mounts=RunMounts(
                mounts=mounts,
                trees=trees,
                working_dir=config.working_dir or "/",
                namespace=request.arguments.get("BUILDKIT_CACHE_MOUNT_NS") or "",
                script=line.script,
            ),
            network=instruction.network,
            security=instruction.security,
            step=self.step_id,
        )
        base = self.image

        async def work() -> BuiltImage:
            layer = await self._tools.runner.run(
                command, base, section=section, report=self._tools.report
            )
            image = self._derived(step, layer, created, container=container)
            await self._tools.ledger.record([image])
            return image

        try:
            await self._make(step, work)
        except LaminaError:
            if request.remove_always:
                await section.text(f"Removing intermediate container {container[:12]}\n")
            raise
        if request.remove or request.remove_always:
            await section.text(f"Removing intermediate container {container[:12]}\n")

    async def _no_layer(self, _: int) -> Layer | None:
        return None

    # What all steps have in common.

    async def _commit(
        self, command: tuple[str, ...], make_layer: Callable[[int], Awaitable[Layer | None]]
    ) -> None:
        """One step that dockerd makes in a container of its own.

        `make_layer` is given the time of the step in unix nanoseconds.
        """
        config = self._editor.config
        # A container's configuration is merged with its image's, which leaves a map where none was.
        labels = config.labels if self.image is None else config.labels or {}
        step = replace(config, cmd=command, labels=labels)
        if await self._take_from_cache(step):
            return
        created, container = self._moment(step)
        section, request = self._tools.section, self._tools.request
        check_settings(request.run)
        await section.text(f" ---> Running in {container[:12]}\n")

        async def work() -> BuiltImage:
            layer = await make_layer(unix_ns(created))
            image = self._derived(
                replace(step, hostname=container[:12]), layer, created, container=container
            )
            if layer is not None:
                await self._tools.ledger.record([image])
            return image

        await self._make(step, work)
        if request.remove or request.remove_always:
            await section.text(f"Removing intermediate container {container[:12]}\n")

    async def _take_from_cache(self, step: ContainerConfig) -> bool:
        if self._cache_is_busted:
            return False
        found = await self._tools.cache.find(self.image, step)
        if found is None:
            self._cache_is_busted = True
            return False
        await self._use(found)
        return True

    async def _use(self, image: BuiltImage) -> None:
        self.image = image
        self.was_cached = True
        await self._tools.section.text(" ---> Using cache\n")

    async def _make(self, step: ContainerConfig, work: Callable[[], Awaitable[BuiltImage]]) -> None:
        await self._secure()
        if self._tools.request.nocache:
            self.image = await work()
        else:
            self.image, self.was_cached = await self._tools.shared.run(self._key(step), work)

    def _key(self, step: ContainerConfig) -> StepKey:
        parent = "" if self.image is None else str(self.image.id)
        rest = f"{self._platform} {self._tools.request.created} {self._author}"
        return parent, comparable(step), rest

    async def _secure(self) -> None:
        if self.image is not None and self.image is not self._secured:
            await self._tools.ledger.secure(self.image)
            self._secured = self.image

    @property
    def _latest(self) -> int | None:
        """The time than which no file may be later, in unix nanoseconds."""
        epoch = self._tools.request.epoch
        return None if epoch is None else epoch * 1_000_000_000

    def _moment(self, step: ContainerConfig) -> tuple[datetime, str]:
        """When the step is made, and the ID of the container that it would be made in.

        With a given time both are always the same.
        """
        request = self._tools.request
        epoch = request.epoch
        now = self._tools.now() if epoch is None else epoch * 1_000_000_000
        created = _EPOCH + timedelta(microseconds=now // 1000)
        parent = "" if self.image is None else str(self.image.id)
        name = hashlib.sha256(f"{parent} {now} ".encode() + comparable(step))
        return created, name.hexdigest()

    def _derived(
        self,
        step: ContainerConfig,
        layer: Layer | None,
        created: datetime,
        *,
        container: str = "",
    ) -> BuiltImage:
        parent = self.image
        base = ImageConfig.build(platform=self._platform, created=created)
        config = (base if parent is None else parent.config).derive(
            created=created,
            created_by=" ".join(step.cmd or ()),
            layer=None if layer is None else layer.diff_id,
            config=self._editor.config,
            container_config=step,
            container=container,
            author=self._author,
            docker_version=self._tools.version,
        )
        layers = () if parent is None else parent.layers
        return BuiltImage(config, layers if layer is None else (*layers, layer), parent)

    def _follow(self) -> None:
        """Let the configuration name the image that it now belongs to."""
        image = "" if self.image is None else str(self.image.id)
        self._editor.config = replace(self._editor.config, image=image)


def unix_ns(moment: datetime) -> int:
    """Unix nanoseconds of a moment."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _beginning(config: ContainerConfig) -> ContainerConfig:
    """The configuration with which a stage begins whose base has `config`."""
    env = config.env or ()
    if "PATH" not in environment(env):
        env = (*env, f"PATH={DEFAULT_PATH}")
    return replace(config, env=env, open_stdin=False, stdin_once=False, on_build=None)


def _inherited(healthcheck: Healthcheck, before: Healthcheck | None) -> Healthcheck:
    """What is not said is as before."""
    if before is None:
        return healthcheck
    return Healthcheck(
        test=healthcheck.test or before.test,
        interval=healthcheck.interval or before.interval,
        timeout=healthcheck.timeout or before.timeout,
        start_period=healthcheck.start_period or before.start_period,
        start_interval=healthcheck.start_interval or before.start_interval,
        retries=healthcheck.retries or before.retries,
    )
