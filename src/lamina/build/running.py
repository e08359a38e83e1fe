"""RUN: a command in a root filesystem, and the layer that its changes make."""

import asyncio
import codecs
import contextlib
import posixpath
import secrets
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from lamina.build.additions import check_path
from lamina.build.ledger import BuiltImage, Ledger
from lamina.build.mounts import MadeMounts, MountMaker, RunMounts
from lamina.build.request import BuildRequest
from lamina.build.settings import host_config
from lamina.build.step_containers import StepContainers
from lamina.build.transcript import Section, red
from lamina.containers.containers import Containers
from lamina.containers.creating import Beginning, make_directory
from lamina.containers.intermediate import after_run, not_started
from lamina.containers.running import process_of
from lamina.containers.sandboxing import container_limits
from lamina.content.threads import run_to_end
from lamina.dockerfile.instructions import Network, Security
from lamina.errors import CommandFailed, Forbidden, InvalidParameter, LaminaError, NotFound
from lamina.oci.config import ContainerConfig, Healthcheck
from lamina.progress import BuildOutput, Report
from lamina.records.catalogue import Layer
from lamina.runtime.layer_sources import sources_of
from lamina.runtime.sandbox import Sandbox
from lamina.runtime.spec import NetworkMode, ProcessSpec, SandboxSpec
from lamina.runtime.stdio import Outlet
from lamina.runtime.supervisor import Exit
from lamina.runtime.workshop import Workshop
from lamina.snapshots.store import Mounted, Snapshots
from lamina.transfer.made_layer import store_made_layer
from lamina.transfer.resources import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a RUN asks for, with all variables replaced."""

    argv: tuple[str, ...]
    env: tuple[str, ...]
    config: ContainerConfig
    container: str
    """The ID of the container that it runs in."""
    mounts: RunMounts
    network: Network = Network.DEFAULT
    security: Security = Security.SANDBOX
    step: str = ""
    """The ID by which its output is told of."""


class Runner:
    """Runs the commands of one build."""

    def __init__(
        self,
        resources: Resources,
        workshop: Workshop,
        ledger: Ledger,
        request: BuildRequest,
        maker: MountMaker,
        *,
        allow_insecure: bool,
        containers: Containers,
        kept: StepContainers,
    ) -> None:
        self._resources = resources
        self._workshop = workshop
        self._ledger = ledger
        self._request = request
        self._maker = maker
        self._allow_insecure = allow_insecure
        self._containers = containers
        self._kept = kept

    async def run(
        self, command: Command, base: BuiltImage | None, *, section: Section, report: Report
    ) -> Layer | None:
        """Run a command on an image; what it changed, None if that is nothing.

        Raises CommandFailed if it ends badly, StartFailed if it cannot be started, Unavailable
        where nothing can be run. Its container stays as `StepContainers` has it.
        """
        if command.security is Security.INSECURE and not self._allow_insecure:
            raise Forbidden("security.insecure is not allowed")
        snapshots = await self._workshop.snapshots()
        key = self._workshop.key()
        layers = () if base is None else base.layers
        created = self._resources.now()
        is_kept = False
        try:
            mounted = await self._workshop.create(key, sources_of(layers, self._resources.blobs))
            for path in command.config.volumes or ():
                await run_to_end(partial(_make_volume, mounted.path, path))
            async with self._maker.made(command.mounts) as made:
                spec = self._spec(command, mounted, made)
                await self._warn(command, spec, section, report)
                ending = await self._execute(command, spec, section, report)
            await snapshots.unmount(key)
            layer = None if ending.problem else await self._changes(snapshots, key)
            if self._kept.stay or (ending.problem and self._kept.stay_if_failed):
                with self._kept.second_to(ending.problem):
                    beginning = await self._beginning(command, base, created)
                    is_kept = True
                    await self._kept.keep(ending.container(beginning, key))
            if ending.problem:
                raise ending.problem
            return layer
        finally:
            if not is_kept:
                with contextlib.suppress(NotFound):
                    await self._resources.records.finish(self._workshop.remove(key))

    async def _changes(self, snapshots: Snapshots, key: str) -> Layer | None:
        epoch = self._request.epoch
        latest_ns = None if epoch is None else epoch * 1_000_000_000
        tar = snapshots.changes_tar(key, latest_ns=latest_ns)
        return await store_made_layer(self._ledger.coming, tar)

    async def _beginning(
        self, command: Command, base: BuiltImage | None, created: int
    ) -> Beginning:
        """The container that a command ran in, with what dockerd has of the image's settings."""
        config = replace(
            command.config,
            cmd=command.argv,
            entrypoint=("",),
            env=command.env,
            healthcheck=Healthcheck(test=("NONE",)),
        )
        network = "" if command.network is Network.DEFAULT else command.network.value
        return await self._kept.beginning(
            command.container,
            base,
            config,
            created=created,
            privileged=command.security is Security.INSECURE,
            network=network,
        )

    def _spec(self, command: Command, mounted: Mounted, made: MadeMounts) -> SandboxSpec:
        settings = self._request.run
        network, network_of = self._network(command.network)
        return SandboxSpec(
            rootfs=mounted.inside,
            rootfs_here=mounted.path,
            process=ProcessSpec(
                argv=command.argv,
                env=(f"HOSTNAME={command.container[:12]}", *command.env, *made.env),
                cwd=command.config.working_dir or "/",
                user=command.config.user,
            ),
            mounts=made.mounts,
            limits=container_limits(host_config(settings)),
            hostname=command.container[:12],
            network=network,
            network_of=network_of,
            extra_hosts=settings.extra_hosts,
            cgroup_parent=settings.cgroup_parent,
            privileged=command.security is Security.INSECURE,
        )

    def _network(self, asked: Network) -> tuple[NetworkMode, int | None]:
        name = asked.value if asked is not Network.DEFAULT else self._request.run.network
        if name in ("", "default", "bridge"):
            return NetworkMode.BRIDGE, None
        if name in ("host", "none"):
            return NetworkMode(name), None
        kind, _, container = name.partition(":")
        if kind == "container" and container:
            return NetworkMode.CONTAINER, process_of(self._containers, container)
        raise NotFound(f"network {name} not found")

    async def _warn(
        self, command: Command, spec: SandboxSpec, section: Section, report: Report
    ) -> None:
        """Say, as dockerd says what it warns of, that there is no network with a way out."""
        networks = await self._workshop.networks()
        if spec.network is NetworkMode.BRIDGE and (lacking := await networks.lacking()):
            await report(BuildOutput(command.step, f"[Warning] {lacking}\n", is_stderr=False))
            await section.text(f" ---> [Warning] {lacking}\n")

    async def _execute(
        self, command: Command, spec: SandboxSpec, section: Section, report: Report
    ) -> "_Ending":
        runtime = await self._workshop.runtime()
        name = f"build-{secrets.token_hex(12)}"
        started = 0
        try:
            async with runtime.running(name, spec) as sandbox:
                started = self._resources.now()
                await _relay(sandbox, _Voice(command.step, section, report))
                ended = await sandbox.wait()
        except LaminaError as error:
            if started:
                raise
            return _Ending(0, None, error)
        problem = None
        if ended.code:
            text = " ".join(command.argv)
            problem = CommandFailed(
                f"The command '{text}' returned a non-zero code: {ended.code}", code=ended.code
            )
        return _Ending(min(started, ended.time), ended, problem)


@dataclass(frozen=True, slots=True)
class _Ending:
    """What became of a command, which began at `started`; without an exit it did not start."""

    started: int
    ended: Exit | None
    problem: LaminaError | None

    def container(self, beginning: Beginning, snapshot: str) -> Beginning:
        """Its container."""
        if self.ended is not None:
            return after_run(beginning, snapshot, self.started, self.ended)
        assert self.problem is not None
        return not_started(beginning, snapshot, self.problem)


@dataclass(frozen=True, slots=True)
class _Voice:
    """Says what a command writes, in its turn and at once."""

    step: str
    section: Section
    report: Report

    async def say(self, text: str, *, is_stderr: bool) -> None:
        """Say one piece; the classic builder shows errors in red."""
        await self.report(BuildOutput(self.step, text, is_stderr))
        await self.section.output(red(text) if is_stderr else text)


def _make_volume(rootfs: Path, path: str) -> None:
    """Have a directory where dockerd has a volume; what is written there stays, as by BuildKit.

    Raises LaminaError for a place that can be none.
    """
    path = posixpath.normpath(f"/{path.lstrip('/')}")
    check_path(path)
    try:
        make_directory(rootfs, posixpath.dirname(path))
    except InvalidParameter as error:
        raise LaminaError(f"lstat {path}: not a directory") from error
    try:
        make_directory(rootfs, path)
    except InvalidParameter as error:
        raise LaminaError(f"cannot mount volume over existing file, file exists {path}") from error


async def _relay(sandbox: Sandbox, voice: _Voice) -> None:
    """Say everything that a process writes, as it comes."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_relay_one(sandbox.stdout, voice, is_stderr=False))
        if sandbox.stderr is not None:
            group.create_task(_relay_one(sandbox.stderr, voice, is_stderr=True))


async def _relay_one(outlet: Outlet, voice: _Voice, *, is_stderr: bool) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    async for piece in outlet:
        if text := decoder.decode(piece):
            await voice.say(text, is_stderr=is_stderr)
    if rest := decoder.decode(b"", final=True):
        await voice.say(rest, is_stderr=is_stderr)
