"""The state of a stage between its steps, and what all steps do: look for it, or make it."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec.structs import replace

from lamina.build.cache import SharedSteps, StepCache, StepKey, comparable
from lamina.build.copying import Copier
from lamina.build.files import Files
from lamina.build.ledger import BuiltImage, Ledger
from lamina.build.request import BuildRequest
from lamina.build.running import Runner
from lamina.build.settings import check_settings
from lamina.build.step_containers import StepContainers
from lamina.build.transcript import Section
from lamina.dockerfile import instructions as ins
from lamina.dockerfile.buildargs import StageArguments
from lamina.dockerfile.changes import ConfigEditor
from lamina.dockerfile.mounts import Expand
from lamina.dockerfile.shellwords import Expander, environment
from lamina.dockerfile.source import DockerfileError
from lamina.errors import LaminaError
from lamina.oci.config import ContainerConfig, ImageConfig
from lamina.oci.platform import Platform
from lamina.progress import Report
from lamina.records.catalogue import Layer
from lamina.records.configs import readable
from lamina.transfer.images import MAX_LAYERS

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
    kept: StepContainers
    copier: Copier
    files: Callable[[str], Awaitable[Files]]
    """What a ``from`` means; empty: the context."""
    files_of: Callable[[BuiltImage | None], Awaitable[Files]]
    """The files of an image that was built."""
    now: Callable[[], int]
    version: str


class StageState:
    """A stage so far; `image` is None while there is nothing."""

    def __init__(
        self,
        tools: StageTools,
        arguments: StageArguments,
        *,
        escape: str,
        platform: Platform,
        base: BuiltImage | None,
    ) -> None:
        self.tools = tools
        self.arguments = arguments
        self.escape = escape
        self.image = base
        self.author = ""
        self.was_cached = False
        """Whether the step before was taken from the cache."""
        self.step_id = ""
        """By which a step's output is told of; set before each."""
        self.platform = platform
        self._cache_is_busted = False
        self._secured = base
        config = base.config.config if base is not None else ContainerConfig()
        self.editor = ConfigEditor(
            _beginning(config), Expander(escape=escape), arguments=lambda: arguments.values
        )
        self.follow()

    def expand_at(self, instruction: ins.Instruction) -> Expand:
        """Replaces the variables of an instruction's words; its errors tell where it stands."""
        expansions = self.editor.expansions()

        def expand(word: str) -> str:
            try:
                return expansions.text(word)
            except DockerfileError as error:
                raise error.on(instruction.lines) from None

        return expand

    async def commit(
        self,
        command: tuple[str, ...],
        make_layer: Callable[[int], Awaitable[Layer | None]],
        *,
        check: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """One step that dockerd makes in a container of its own.

        `make_layer` is given the time of the step in unix nanoseconds; `check` raises what keeps
        dockerd from making the container.
        """
        config = self.editor.config
        # A container's configuration is merged with its image's, which leaves a map where none was.
        labels = config.labels if self.image is None else config.labels or {}
        step = replace(config, cmd=command, labels=labels)
        if await self.take_from_cache(step):
            return
        created, container = self.moment(step)
        section, request = self.tools.section, self.tools.request
        kept, base = self.tools.kept, self.image
        check_settings(request.run)
        if check is not None:
            await check()
        await section.text(f" ---> Running in {container[:12]}\n")

        async def work() -> BuiltImage:
            layer = await make_layer(unix_ns(created))
            image = self.derived(
                replace(step, hostname=container[:12]), layer, created, container=container
            )
            if layer is not None:
                await self.tools.ledger.record([image])
            if kept.stay:
                await kept.keep(
                    await kept.beginning(container, base, step, created=self.tools.now())
                )
            return image

        await self.make(step, work)
        if request.remove or request.remove_always:
            await section.text(f"Removing intermediate container {container[:12]}\n")

    async def take_from_cache(self, step: ContainerConfig) -> bool:
        """Whether the step's image is known; it is the stage's then."""
        if self._cache_is_busted:
            return False
        found = await self.tools.cache.find(self.image, step)
        if found is None:
            self._cache_is_busted = True
            return False
        await self._use(found)
        return True

    async def _use(self, image: BuiltImage) -> None:
        self.image = image
        self.was_cached = True
        await self.tools.section.text(" ---> Using cache\n")

    async def make(self, step: ContainerConfig, work: Callable[[], Awaitable[BuiltImage]]) -> None:
        """Make the step's image, unless another build is just making it."""
        await self.secure()
        if self.tools.request.nocache:
            self.image = await work()
        else:
            self.image, self.was_cached = await self.tools.shared.run(
                self._key(step), work, self.tools.ledger.is_there
            )
        if not self.was_cached:
            # What is new in it was protected when it was stored.
            self._secured = self.image
        assert self.image is not None
        await self.tools.ledger.keep_up(self.image)

    def _key(self, step: ContainerConfig) -> StepKey:
        parent = "" if self.image is None else str(self.image.id)
        rest = f"{self.platform} {self.tools.request.created} {self.author}"
        return parent, comparable(step), rest

    async def secure(self) -> None:
        """Keep what was taken from the cache until the build has ended."""
        if self.image is not None and self.image is not self._secured:
            await self.tools.ledger.secure(self.image)
            self._secured = self.image

    @property
    def latest(self) -> int | None:
        """The time than which no file may be later, in unix nanoseconds."""
        epoch = self.tools.request.epoch
        return None if epoch is None else epoch * 1_000_000_000

    def moment(self, step: ContainerConfig) -> tuple[datetime, str]:
        """When the step is made, and the ID of the container that it would be made in.

        With a given time both are always the same.
        """
        request = self.tools.request
        epoch = request.epoch
        now = self.tools.now() if epoch is None else epoch * 1_000_000_000
        created = _EPOCH + timedelta(microseconds=now // 1000)
        parent = "" if self.image is None else str(self.image.id)
        name = hashlib.sha256(f"{parent} {now} ".encode() + comparable(step))
        return created, name.hexdigest()

    def derived(
        self,
        step: ContainerConfig,
        layer: Layer | None,
        created: datetime,
        *,
        container: str = "",
    ) -> BuiltImage:
        """The stage's image with one more step.

        Raises LaminaError for too many layers, InvalidParameter for too long a configuration.
        """
        parent = self.image
        if layer is not None and parent is not None and len(parent.layers) >= MAX_LAYERS:
            raise LaminaError("max depth exceeded")
        base = ImageConfig.build(platform=self.platform, created=created)
        config = (base if parent is None else parent.config).derive(
            created=created,
            created_by=" ".join(step.cmd or ()),
            layer=None if layer is None else layer.diff_id,
            config=self.editor.config,
            container_config=step,
            container=container,
            author=self.author,
            docker_version=self.tools.version,
        )
        layers = () if parent is None else parent.layers
        return BuiltImage(readable(config), layers if layer is None else (*layers, layer), parent)

    def follow(self) -> None:
        """Let the configuration name the image that it now belongs to."""
        image = "" if self.image is None else str(self.image.id)
        self.editor.config = replace(self.editor.config, image=image)


def unix_ns(moment: datetime) -> int:
    """Unix nanoseconds of a moment."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _beginning(config: ContainerConfig) -> ContainerConfig:
    """The configuration with which a stage begins whose base has `config`."""
    env = config.env or ()
    if "PATH" not in environment(env):
        env = (*env, f"PATH={DEFAULT_PATH}")
    return replace(config, env=env, open_stdin=False, stdin_once=False, on_build=None)
