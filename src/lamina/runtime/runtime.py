"""`Runtime`: starts sandboxes and processes in them, and leaves nothing of them behind.

::

    DIRECTORY/lock            locked by the monitor as long as anything may be left
    DIRECTORY/runtime         the path of the OCI runtime that is used
    DIRECTORY/state/          the OCI runtime's own
    DIRECTORY/bundles/NAME/   a sandbox: config.json, its files, and exit.json when it has ended

What a process that was killed has left is found there by `sweep_runtimes`.
"""

import asyncio
import json
import os
import re
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final

from lamina.errors import Conflict, InvalidParameter, LaminaError, Unavailable
from lamina.runtime.failures import check_names, last_line, start_failure
from lamina.runtime.hostfiles import host_file_mounts
from lamina.runtime.networks.choice import Networks
from lamina.runtime.networks.network import Network
from lamina.runtime.ocispec import (
    Machine,
    cgroup_path,
    process_document,
    sandbox_document,
)
from lamina.runtime.programs import (
    PROGRAMS,
    RuntimeProgram,
    find_init,
    find_program,
    find_runtime,
)
from lamina.runtime.sandbox import Launched, RunningProcess, Sandbox
from lamina.runtime.spec import NetworkMode, ProcessSpec, SandboxSpec
from lamina.runtime.stdio import Pipes, Streams
from lamina.runtime.supervisor import Supervisor
from lamina.runtime.sweeping import discard
from lamina.runtime.users import Identity, identify

__all__ = ["Runtime"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_STARTS_AT_ONCE: Final = 8
# Names in the bundle, where the monitor runs the runtime.
_LOG: Final = ("--log=log", "--log-format=json")
_PID_FILE: Final = ("--pid-file=pid",)

_OF_RUNTIME: Final = re.compile(r"\w+:\[\d:\w+\]\n")
"""What runc and youki call their process in a container, as in ``runc:[2:INIT]``."""
_EXECUTED_SECONDS: Final = 5.0
_EXECUTED_INTERVAL: Final = 0.001


class Runtime:
    """Sandboxes of one process, below a directory that is its own. For one event loop.

    `program` names the OCI runtime, else they are tried; `command` makes a command line one that
    runs where the root filesystems are (`Snapshots.command`), `rootless` says that this is a user
    namespace with one user. `networks` are those with a way out; without them there are none.
    Nothing is started before it is needed.
    """

    def __init__(
        self,
        directory: Path,
        *,
        program: str | None = None,
        command: Callable[[Sequence[str]], list[str]] = list,
        rootless: bool = False,
        networks: Networks | None = None,
    ) -> None:
        self._directory = directory
        self._wanted = program
        self._command = command
        self._machine = Machine.read(rootless=rootless)
        self._starting = asyncio.Lock()
        self._starts = asyncio.Semaphore(_STARTS_AT_ONCE)
        self._program: RuntimeProgram | None = None
        self._supervisor: Supervisor | None = None
        self._networks = networks
        self._opened: dict[str, Network] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def machine(self) -> Machine:
        """Facts about the kernel."""
        return self._machine

    @property
    def name(self) -> str:
        """What the OCI runtime is called: the one that is used, or will be, as it looks now."""
        if self._program is None and self._wanted is not None:
            return self._wanted.rpartition("/")[2]
        return next(iter(self.programs()), PROGRAMS[0])

    def programs(self) -> dict[str, str]:
        """The OCI runtimes that are installed, by name; the one that is used first, if known."""
        used = self._program
        found = {} if used is None else {used.name: used.path}
        for name in PROGRAMS:
            if name not in found and (path := find_program(name)) is not None:
                found[name] = path
        return found

    async def program(self) -> RuntimeProgram:
        """The OCI runtime that is used. Unavailable."""
        async with self._starting:
            if self._program is None:
                if os.geteuid() and not self._machine.rootless:
                    raise Unavailable(
                        "containers need root, or user namespaces, which do not work here"
                    )
                for name in ("state", "bundles"):
                    (self._directory / name).mkdir(mode=0o711, parents=True, exist_ok=True)
                found = await find_runtime(
                    self._directory, self._machine, program=self._wanted, command=self._command
                )
                (self._directory / "runtime").write_text(found.path)
                self._program = found
            return self._program

    async def start(self, name: str, spec: SandboxSpec, *, stdin: bool = False) -> Sandbox:
        """Start a sandbox; without `stdin` it reads the end at once, but a terminal's always.

        Cancelled, it leaves nothing. Raises StartFailed (the process could not be started),
        InvalidParameter, Conflict (a sandbox of that name), Unavailable (no OCI runtime).
        """
        starting = asyncio.create_task(self._start(name, spec, stdin=stdin))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            await self._finish(_take_back(starting))
            raise

    @asynccontextmanager
    async def running(
        self, name: str, spec: SandboxSpec, *, stdin: bool = False
    ) -> AsyncIterator[Sandbox]:
        """`start`, and when the context ends nothing is left of it, whether it has ended or not."""
        sandbox = await self.start(name, spec, stdin=stdin)
        try:
            yield sandbox
        finally:
            sandbox.close()
            await asyncio.shield(asyncio.create_task(sandbox.remove()))

    async def exec(
        self, sandbox: Sandbox, process: ProcessSpec, *, stdin: bool, privileged: bool
    ) -> RunningProcess:
        """As `Sandbox.exec` says."""
        starting = asyncio.create_task(
            self._exec(sandbox, process, stdin=stdin, privileged=privileged)
        )
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            await self._finish(_end(starting))
            raise

    async def command(self, *arguments: str, given: bytes = b"") -> str:
        """Run a command of the OCI runtime, and return what it prints. Unavailable."""
        with TemporaryFile() as stdin:
            # No pipe: writing to one whose reader has ended fails, under uvloop in odd ways.
            stdin.write(given)
            stdin.seek(0)
            process = await asyncio.create_subprocess_exec(
                *self._command([*await self._options(), *arguments]),
                stdin=stdin,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            )
            output, errors = await process.communicate()
        if process.returncode:
            raise Unavailable(last_line(errors.decode(errors="replace")))
        return output.decode(errors="replace")

    async def remove(self, name: str) -> None:
        """Kill a sandbox, if it runs, and wait until nothing is left of it."""
        if self._supervisor is not None:
            await self._supervisor.delete(name)
        if await asyncio.to_thread((self._directory / "state" / name).exists):
            await self._delete(name)
        if (network := self._opened.pop(name, None)) is not None:
            self._release(network)
        await asyncio.to_thread(discard, self._directory / "bundles", name)

    def _release(self, network: Network) -> None:
        """Close a network; nobody waits for that, but when all is closed."""
        self._keep(asyncio.create_task(network.close()))

    async def _finish(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what goes on though the caller, who was cancelled, is cancelled once more."""
        task = asyncio.create_task(work)
        self._keep(task)
        await asyncio.shield(task)

    def _keep(self, task: "asyncio.Task[None]") -> None:
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """End all sandboxes, and remove the directory. Unavailable from then on."""
        async with self._starting:
            self._closed = True
            if self._supervisor is not None:
                await self._supervisor.close()
        for name in await asyncio.to_thread(_names_in, self._directory / "state"):
            await self._delete(name)
        while self._opened:
            self._release(self._opened.popitem()[1])
        while self._ending:
            await asyncio.wait(self._ending)
        await asyncio.to_thread(discard, self._directory.parent, self._directory.name)

    async def _delete(self, name: str) -> None:
        """End a sandbox that has gone on without its monitor, which somebody has killed."""
        with suppress(Unavailable):  # what stays goes when the root is next opened
            await self.command("delete", "--force", name)

    async def _start(self, name: str, spec: SandboxSpec, *, stdin: bool) -> Sandbox:
        if not _NAME.fullmatch(name):
            raise InvalidParameter(f"invalid sandbox name {name!r}")
        options = await self._options()
        supervisor = await self._supervised()
        bundle = self._directory / "bundles" / name
        network = await self._open_network(spec)
        try:
            await asyncio.to_thread(self._make_bundle, bundle, name, spec, network)
        except BaseException as error:
            if network is not None:
                self._release(network)
            if isinstance(error, FileExistsError):
                raise Conflict(f"sandbox {name} already exists") from None
            raise
        if network is not None:
            self._opened[name] = network
        request: dict[str, Any] = {
            "do": "run",
            "argv": [*options, *_LOG, "run", "--detach", *_PID_FILE],
            "runtime": self._command(options),
            "cgroup": "" if self._machine.rootless else cgroup_path(name, spec),
        }
        tty = spec.process.tty
        try:
            launched = await self._launch(
                supervisor, name, bundle, request, [name], tty=tty, stdin=stdin
            )
            await asyncio.to_thread(until_executed, launched.pid)
        except BaseException as error:
            await self.remove(name)
            if isinstance(error, Unavailable):
                raise start_failure(str(error)) from None
            raise
        return Sandbox(
            name,
            launched,
            spec=spec,
            endpoint=network.endpoint if network is not None else None,
            runtime=self,
            supervisor=supervisor,
        )

    async def _open_network(self, spec: SandboxSpec) -> Network | None:
        """The network with a way out of a sandbox that is to have one, where there are such."""
        if spec.network is not NetworkMode.BRIDGE or self._networks is None:
            return None
        way = await self._networks.way()
        return None if way is None else await way.open()

    async def _exec(
        self, sandbox: Sandbox, process: ProcessSpec, *, stdin: bool, privileged: bool
    ) -> RunningProcess:
        options = await self._options()
        supervisor = await self._supervised()
        name = f"{sandbox.name}.{secrets.token_hex(6)}"
        place = self._directory / "bundles" / sandbox.name / name
        if privileged:
            process = replace(process, capabilities=self._machine.capabilities)
        request: dict[str, Any] = {
            "do": "exec",
            "argv": [*options, *_LOG, "exec", "--detach", *_PID_FILE, "--process=process.json"],
            "inside": sandbox.name,
        }
        try:
            try:
                await asyncio.to_thread(self._make_place, place, sandbox.spec, process)
            except FileNotFoundError:
                # It has just ended, and been removed.
                raise _not_running(sandbox) from None
            try:
                launched = await self._launch(
                    supervisor, name, place, request, [sandbox.name], tty=process.tty, stdin=stdin
                )
            except Unavailable as error:
                if await sandbox.is_ending():
                    raise _not_running(sandbox) from None
                raise start_failure(str(error), exec=True) from None
        finally:
            # Else those of a container that is asked for its health for months would fill the disk.
            await asyncio.to_thread(discard, place.parent, name)
        return RunningProcess(name, launched, supervisor)

    def _make_place(self, place: Path, spec: SandboxSpec, process: ProcessSpec) -> None:
        """Make what the OCI runtime reads of one more process."""
        check_names(*process.argv[:1], process.cwd, exec=True)
        identity = self._identify(spec, process)
        document = process_document(process, identity, spec, self._machine)
        place.mkdir(mode=0o700)
        (place / "process.json").write_text(json.dumps(document))

    async def _launch(
        self,
        supervisor: Supervisor,
        name: str,
        place: Path,
        request: dict[str, Any],
        operands: list[str],
        *,
        tty: bool,
        stdin: bool,
    ) -> Launched:
        argv = [*request["argv"], *(["--console-socket=console"] if tty else []), *operands]
        if self._machine.rootless:
            # Who enters another mount namespace is at its root then.
            argv = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', str(place), *argv]
        whole = {**request, "argv": self._command(argv), "bundle": str(place), "tty": tty}
        pipes = Pipes(stdin=stdin) if not tty else None
        try:
            async with self._starts:
                given = pipes.theirs if pipes is not None else ()
                pid, terminal, exited = await supervisor.run(name, whole, given)
            if terminal is not None:
                return Launched(pid, Streams.of_terminal(terminal, stdin=stdin), exited)
            if pipes is None:
                raise Unavailable("the runtime has not handed over the terminal")
            return Launched(pid, pipes.streams(), exited)
        finally:
            if pipes is not None:
                pipes.close_ours()
                pipes.close_theirs()

    def _make_bundle(
        self, bundle: Path, name: str, spec: SandboxSpec, network: Network | None
    ) -> None:
        check_names(
            *spec.process.argv[:1],
            spec.process.cwd,
            *(mount.target for mount in spec.mounts),
            *(device.target for device in spec.devices),
        )
        identity = self._identify(spec, spec.process)
        init = find_init() if spec.init else None
        bundle.mkdir(mode=0o711)
        try:
            mounts = host_file_mounts(bundle, spec, endpoint=network.endpoint if network else None)
            document = sandbox_document(
                name,
                spec,
                identity,
                self._machine,
                host_files=mounts,
                init=init,
                network=network.path if network is not None else None,
            )
            (bundle / "config.json").write_text(json.dumps(document))
        except BaseException:
            discard(bundle.parent, bundle.name)
            raise

    def _identify(self, spec: SandboxSpec, process: ProcessSpec) -> Identity:
        """Who a process is. InvalidParameter, Unavailable."""
        identity = identify(spec.rootfs_here or spec.rootfs, process.user, process.groups)
        if self._machine.rootless and (identity.uid or identity.gid):
            raise Unavailable(
                f"no process can be user {process.user}:"
                " without root, a container has one user only"
            )
        return identity

    async def _options(self) -> list[str]:
        program = await self.program()
        rootless = ["--rootless=true"] if self._machine.rootless else []
        state = self._directory / "state"
        return [program.path, f"--root={state}", *rootless]

    async def _supervised(self) -> Supervisor:
        async with self._starting:
            if self._closed:
                raise Unavailable("the engine is closed")
            if self._supervisor is not None and self._supervisor.has_ended:
                # Somebody has killed it.
                await self._supervisor.close()
                self._supervisor = None
            if self._supervisor is None:
                self._supervisor = await Supervisor.start(self._directory / "lock")
            return self._supervisor


def _names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.glob("*")]


def _not_running(sandbox: Sandbox) -> Conflict:
    return Conflict(f"Container {sandbox.name} is not running")


def until_executed(pid: int) -> None:
    """Wait until the OCI runtime's own process has become the one that it was to start.

    It would be ended by signals that are meant for that. Nothing tells of it, but the name.
    """
    deadline = time.monotonic() + _EXECUTED_SECONDS
    with suppress(OSError):
        while _OF_RUNTIME.fullmatch(Path(f"/proc/{pid}/comm").read_text()):
            if time.monotonic() > deadline:
                return
            time.sleep(_EXECUTED_INTERVAL)


async def _take_back(starting: "asyncio.Task[Sandbox]") -> None:
    """Remove a sandbox that nobody wants any more when it has been started."""
    try:
        sandbox = await starting
    except (LaminaError, OSError):
        return  # It has left nothing itself.
    sandbox.close()
    await sandbox.remove()


async def _end(starting: "asyncio.Task[RunningProcess]") -> None:
    """Kill a process that nobody wants any more when it has been started."""
    try:
        started = await starting
    except (LaminaError, OSError):
        return
    await started.signal(signal.SIGKILL)
    started.close()
