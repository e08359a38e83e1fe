"""Commands that are run inside of running containers; known to the process that runs those."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import msgspec

from lamina.containers.attachment import AttachedStreams
from lamina.containers.broadcast import Broadcast
from lamina.containers.containers import Containers
from lamina.containers.sandboxing import environment
from lamina.containers.stored import settings_of
from lamina.errors import (
    Conflict,
    ExecNotFound,
    InvalidParameter,
    LaminaError,
    NotExecutable,
    StartFailed,
)
from lamina.models import ExecConfig, ExecInspect, ProcessConfig
from lamina.records.containers import Container
from lamina.runtime.sandbox import RunningProcess
from lamina.runtime.spec import ProcessSpec
from lamina.runtime.stdio import Inlet

__all__ = ["Exec", "Execs", "inspect_exec"]

_KEPT: Final = 300.0
"""Seconds for which one that has ended can still be asked about."""
_FEW: Final = 64
_DRAIN_SECONDS: Final = 5.0
_NOT_STARTED: Final = 126
"""The exit status of a command that could not be started, for whatever reason."""


@dataclass(slots=True)
class Exec:
    """A command, and what has become of it."""

    id: str
    container_id: str
    config: ExecConfig
    output: Broadcast = field(default_factory=Broadcast)
    process: RunningProcess | None = None
    begun: bool = False
    exit_code: int | None = None
    pid: int = 0

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self.begun and self.exit_code is None


class Execs:
    """All execs of the containers that one process runs; for `kept` seconds after their end."""

    def __init__(self, containers: Containers, *, kept: float = _KEPT) -> None:
        self._containers = containers
        self._kept = kept
        self._execs: dict[str, Exec] = {}
        self._many = _FEW
        """So many there are when those are looked for that nobody can start any more."""

    def find(self, id: str) -> Exec:
        """An exec by its ID. ExecNotFound."""
        found = self._execs.get(id)
        if found is None or found.container_id not in self._containers.records.catalogue.containers:
            self._execs.pop(id, None)
            raise ExecNotFound(id)
        return found

    def of(self, container: Container) -> list[str]:
        """The IDs of those of a container that have not ended."""
        return [
            each.id
            for each in self._execs.values()
            if each.container_id == container.id and each.exit_code is None
        ]

    async def prepare(self, name: str, config: ExecConfig) -> Exec:
        """Make one, to be started. Conflict, InvalidParameter."""
        container = self._containers.find(name)
        self._check_running(container, name)
        if not config.cmd:
            raise InvalidParameter("No exec command specified")
        self._forget_orphans()
        made = Exec(secrets.token_hex(32), container.id, config)
        self._execs[made.id] = made
        command = " ".join(config.cmd)
        await self._containers.tell(container, f"exec_create: {command}", execID=made.id)
        return made

    def _check_running(self, container: Container, name: str) -> None:
        if container.status == "paused":
            raise Conflict(f"Container {name} is paused, unpause the container before exec")
        self._containers.sandbox(container)

    @asynccontextmanager
    async def start(
        self, id: str, *, detach: bool, console_size: tuple[int, int] | None
    ) -> AsyncIterator[AttachedStreams]:
        """Start one, and be attached to it for as long as the context lasts."""
        found = self.find(id)
        container = self._containers.find(found.container_id)
        if found.begun:
            raise Conflict(f"Error: Exec command {id} has already run")
        self._check_running(container, container.id)
        config = found.config
        attach_in = config.attach_stdin and not detach
        subscription = found.output.subscribe(
            stdout=config.attach_stdout and not detach, stderr=config.attach_stderr and not detach
        )
        try:
            # Begun, it is started, whether or not somebody still wants to be attached to it.
            found.begun = True
            await self._containers.records.finish(
                self._run(container, found, stdin=attach_in, console_size=console_size)
            )

            async def inlet() -> Inlet | None:
                return found.process.stdin if found.process is not None else None

            yield AttachedStreams(
                tty=config.tty,
                subscription=None if detach else subscription,
                inlet=inlet if attach_in else None,
                close_inlet=not config.tty,
            )
        finally:
            found.output.unsubscribe(subscription)

    async def _run(
        self,
        container: Container,
        found: Exec,
        *,
        stdin: bool,
        console_size: tuple[int, int] | None,
    ) -> None:
        spec = exec_process(container, found.config, console_size)
        command = " ".join(found.config.cmd or ())
        try:
            sandbox = self._containers.sandbox(container)
            process = await sandbox.exec(spec, stdin=stdin, privileged=found.config.privileged)
        except (LaminaError, OSError) as error:
            found.exit_code = _NOT_STARTED
            self._forget_later(found)
            if isinstance(error, InvalidParameter) and not isinstance(error, NotExecutable):
                # It was asked for when the command was prepared.
                raise StartFailed(str(error), _NOT_STARTED) from error
            raise
        found.process, found.pid = process, process.pid
        self._containers.spawn(self._watch(container, found, process))
        await self._containers.tell(container, f"exec_start: {command}", execID=found.id)

    async def _watch(self, container: Container, found: Exec, process: RunningProcess) -> None:
        pumping = asyncio.create_task(found.output.pump(process))
        try:
            code = (await process.wait()).code
        except LaminaError:
            code = 255
        await asyncio.wait({pumping}, timeout=_DRAIN_SECONDS)
        process.close()
        with suppress(OSError, ExceptionGroup):
            await pumping
        found.exit_code, found.process = code, None
        found.output.end()
        self._forget_later(found)
        await self._containers.tell(container, "exec_die", execID=found.id, exitCode=str(code))

    def _forget_later(self, ended: Exec) -> None:
        asyncio.get_running_loop().call_later(self._kept, self._execs.pop, ended.id, None)

    def _forget_orphans(self) -> None:
        """Forget those that were never started, of containers that are no more."""
        if len(self._execs) >= self._many:
            there = self._containers.records.catalogue.containers
            for each in [each for each in self._execs.values() if each.container_id not in there]:
                del self._execs[each.id]
            self._many = 2 * len(self._execs) + _FEW


def exec_process(
    container: Container, config: ExecConfig, console_size: tuple[int, int] | None
) -> ProcessSpec:
    """What is run: as in the container, where nothing else is asked for."""
    settings = settings_of(container)
    own = settings.config
    added = config.env or ()
    return ProcessSpec(
        argv=tuple(config.cmd or ()),
        env=(*environment(own, settings.host_config), *added),
        cwd=config.working_dir or own.working_dir or "/",
        user=config.user or own.user,
        groups=settings.host_config.group_add or (),
        tty=config.tty,
        console_size=console_size or config.console_size,
    )


def inspect_exec(found: Exec) -> ExecInspect:
    """What an exec is, and what has become of it."""
    config = found.config
    command = config.cmd or ("",)
    return ExecInspect(
        id=found.id,
        running=found.running,
        exit_code=found.exit_code,
        process_config=ProcessConfig(
            tty=config.tty,
            entrypoint=command[0],
            arguments=list(command[1:]),
            privileged=config.privileged,
            user=config.user or msgspec.UNSET,
        ),
        open_stdin=config.attach_stdin,
        open_stderr=config.attach_stderr,
        open_stdout=config.attach_stdout,
        container_id=found.container_id,
        detach_keys=config.detach_keys,
        pid=found.pid,
    )
