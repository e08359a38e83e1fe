"""What has been started: a sandbox with its first process, and others in it.

How that is done is `lamina.runtime.runtime`'s.
"""

import asyncio
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from lamina.errors import Unavailable
from lamina.runtime.networks.network import Endpoint
from lamina.runtime.ocispec import Machine, cgroup_path, limit_document
from lamina.runtime.spec import Limits, ProcessSpec, SandboxSpec
from lamina.runtime.stdio import Streams, resize_terminal
from lamina.runtime.supervisor import Exit, Supervisor

__all__ = ["Launched", "RunningProcess", "Sandbox", "birth_of", "is_exiting"]

_EXITING: Final = 0x4
"""The kernel's flag of a process that is being ended (PF_EXITING)."""


@dataclass(frozen=True, slots=True)
class Launched:
    """A process that runs."""

    pid: int
    streams: Streams
    exited: asyncio.Future[Exit]


class RunningProcess:
    """A process that was started, perhaps over by now, and our ends of its standard streams.

    Whoever started it reads `stdout` and `stderr` to their end (they hold all that was written,
    also after the process is gone) and closes it.
    """

    def __init__(self, name: str, launched: Launched, supervisor: Supervisor) -> None:
        streams = launched.streams
        self.name: Final = name
        self.pid: Final = launched.pid
        """As the host sees it; do not signal it, it may be another's by then."""
        self.stdin: Final = streams.stdin
        """None if there is none."""
        self.stdout: Final = streams.stdout
        """The terminal, if there is one."""
        self.stderr: Final = streams.stderr
        """None if there is a terminal."""
        self._born = birth_of(launched.pid)
        self._terminal = streams.terminal
        self._exited = launched.exited
        self._supervisor = supervisor

    async def wait(self) -> Exit:
        """Wait until it has ended. Unavailable if that cannot be known any more."""
        return await asyncio.shield(self._exited)

    @property
    def has_exited(self) -> bool:
        """Whether it has ended."""
        return self._exited.done()

    async def is_ending(self) -> bool:
        """Whether it has ended, or is about to: for who could not do something with it."""
        return self.has_exited or not await self.signal(0) or is_exiting(self.pid)

    def is_there(self) -> bool:
        """Whether its ID is still its own, though it may have ended."""
        return self._born is not None and birth_of(self.pid) == self._born

    async def signal(self, number: int) -> bool:
        """Send a signal; False if the process was gone."""
        return await self._supervisor.signal(self.name, number)

    def resize(self, height: int, width: int) -> None:
        """Tell its terminal a new size; without one nothing happens."""
        if self._terminal is not None:
            with suppress(OSError):
                resize_terminal(self._terminal, height, width)

    def close(self) -> None:
        """Let go of the streams."""
        for end in (self.stdin, self.stdout, self.stderr):
            if end is not None:
                end.close()
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None


class Runs(Protocol):
    """What has started sandboxes, as far as they need it."""

    @property
    def machine(self) -> Machine:
        """Facts about the kernel."""

    async def exec(
        self, sandbox: "Sandbox", process: ProcessSpec, *, stdin: bool, privileged: bool
    ) -> RunningProcess:
        """As `Sandbox.exec` says."""

    async def command(self, *arguments: str, given: bytes = b"") -> str:
        """Run a command of the OCI runtime, and return what it prints. Unavailable."""

    async def remove(self, name: str) -> None:
        """As `Sandbox.remove` says."""


class Sandbox(RunningProcess):
    """A root filesystem with a first process, and others that are started in it."""

    def __init__(
        self,
        name: str,
        launched: Launched,
        *,
        spec: SandboxSpec,
        endpoint: Endpoint | None,
        runtime: Runs,
        supervisor: Supervisor,
    ) -> None:
        super().__init__(name, launched, supervisor)
        self.spec: Final = spec
        self.endpoint: Final = endpoint
        """In its own network, if that has a way out."""
        self.cgroup: Final = cgroup_path(name, spec)
        self._runtime = runtime

    async def exec(
        self, process: ProcessSpec, *, stdin: bool = False, privileged: bool = False
    ) -> RunningProcess:
        """Start one more process in it. StartFailed, InvalidParameter (user), Conflict (paused)."""
        return await self._runtime.exec(self, process, stdin=stdin, privileged=privileged)

    async def pause(self) -> None:
        """Stop all its processes from running. Unavailable."""
        try:
            await self._runtime.command("pause", self.name)
        except Unavailable:
            # Half of them may be frozen, which not even SIGKILL would end.
            with suppress(Unavailable):
                await self.resume()
            raise

    async def resume(self) -> None:
        """Let them run again. Unavailable."""
        await self._runtime.command("resume", self.name)

    async def update(self, limits: Limits) -> None:
        """Change its limits, as far as control groups hold it to them. Unavailable."""
        document = json.dumps(limit_document(limits, self._runtime.machine)).encode()
        await self._runtime.command("update", "--resources=-", self.name, given=document)

    async def processes(self) -> list[int]:
        """The IDs of all its processes, as the host sees them. Unavailable."""
        output = await self._runtime.command("ps", "--format=json", self.name)
        return [int(pid) for pid in json.loads(output) or ()]

    async def remove(self) -> None:
        """Kill what runs, and wait until nothing is left of it. The streams stay."""
        await self._runtime.remove(self.name)


def is_exiting(pid: int) -> bool:
    """Whether a process is on its way out, or gone. The first of a namespace waits for others."""
    fields = _stat(pid)
    return not fields or fields[0] in "ZX" or bool(int(fields[6]) & _EXITING)


def birth_of(pid: int) -> int | None:
    """When a process was started, in ticks since the machine was; None if it is gone.

    No other of the same ID was started then.
    """
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def _stat(pid: int) -> list[str]:
    """What the kernel tells of a process, from the third field on; nothing if it is gone."""
    with suppress(OSError):
        # The name before may have blanks and brackets.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []
