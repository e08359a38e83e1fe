"""The process that is the parent of all containers of one engine, so that no exit is ever lost.

Run as ``python -S -m lamina.runtime.monitor SOCKET-FD LOCK-FILE``; it imports nothing but the
standard library, and holds a lock on the file as long as it lives. It is a child subreaper: what
the OCI runtime starts and leaves (``--detach``) becomes its child. It reads requests from a
SOCK_SEQPACKET socket, a JSON object a packet, and answers in kind:

- ``{"n", "do": "run", "name", "argv", "bundle", "tty"}`` with the three standard descriptors (none
  of them if ``tty``): runs the runtime. Answered with ``{"n", "pid"}``, with the terminal's
  descriptor if ``tty``, or with ``{"n", "error"}``.
- ``exec``: the same for one more process in the container named by ``inside``.
- ``{"n", "do": "signal", "name", "signal"}``: sends it, if the process is still there.
- ``{"n", "do": "delete", "name"}``: kills the container and waits until nothing is left of it.

Without being asked it tells ``{"exited": NAME, "code", "signal", "time", "oom"}``; a container is
deleted then by itself. The same is written to ``exit.json`` in its bundle before. When the socket
ends, because the engine has, all containers are killed and deleted before the monitor ends too.
"""

import array
import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

__all__ = ["main"]

_PR_SET_CHILD_SUBREAPER: Final = 36
_MAX_PACKET: Final = 1 << 17
_MAX_HALF: Final = 4096
"""Characters of either half of an error; in JSON one may take twelve bytes."""
_PID_FILE: Final = "pid"
_LOG: Final = "log"
_CONSOLE: Final = "console"
_THAWING_SECONDS: Final = 0.1
_HANDLED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)


@dataclass(slots=True)
class Command:
    """A running OCI runtime."""

    request: dict[str, Any]
    console: socket.socket | None = None
    terminal: int | None = None


@dataclass(slots=True)
class Container:
    """A container that the runtime knows."""

    name: str
    bundle: str
    runtime: list[str]
    """The runtime's command with its global options."""
    cgroup: str
    processes: set[str] = field(default_factory=set)
    """Names of its processes that live; that of the first is its own."""
    deleting: bool = False
    waiting: list[int] = field(default_factory=list)
    """Requests to be answered when nothing is left of it."""


class Monitor:
    """State and event loop; one thread."""

    def __init__(self, engine: socket.socket) -> None:
        self._engine: socket.socket | None = engine
        self._commands: dict[int, Command] = {}
        self._deletions: dict[int, Container] = {}
        self._containers: dict[str, Container] = {}
        self._pids: dict[int, tuple[str, Container]] = {}
        self._dying: dict[int, Container] = {}
        """First processes that were killed, and have not ended yet."""
        self._early: dict[int, tuple[int, int]] = {}
        """Exits of processes whose runtime has not told their IDs yet."""
        self._poll = select.epoll()
        self._wakeup, wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        os.set_blocking(wakeup, False)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        self._poll.register(engine, select.EPOLLIN)
        self._poll.register(self._wakeup, select.EPOLLIN)

    def serve(self) -> None:
        """Work until the engine is gone and nothing is left of its containers."""
        while self._engine is not None or self._commands or self._containers:
            for fd, _ in self._poll.poll(_THAWING_SECONDS if self._dying else None):
                if fd == self._wakeup:
                    with suppress(BlockingIOError):
                        os.read(self._wakeup, 4096)
                elif self._engine is not None and fd == self._engine.fileno():
                    self._receive(self._engine)
                else:
                    self._accept(fd)
            self._reap()
            for container in self._dying.values():
                # Who was freezing it may have done so after it was thawed.
                thaw(container.cgroup)

    # The engine.

    def _receive(self, engine: socket.socket) -> None:
        try:
            packet, fds, _, _ = socket.recv_fds(engine, _MAX_PACKET, 3)
        except ConnectionError:
            packet, fds = b"", []
        if not packet:
            self._poll.unregister(engine)
            engine.close()
            self._engine = None
            for container in list(self._containers.values()):
                self._delete(container)
            return
        request = json.loads(packet)
        try:
            self._do(request, fds)
        except OSError as error:
            self._tell({"n": request["n"], "error": str(error)})
        finally:
            for fd in fds:
                os.close(fd)

    def _do(self, request: dict[str, Any], fds: list[int]) -> None:
        if request["do"] in {"run", "exec"}:
            self._start(request, fds)
            return
        name = request["name"]
        container = self._containers.get(name)
        if request["do"] == "signal":
            pid = next((pid for pid, (known, _) in self._pids.items() if known == name), None)
            if pid is not None:
                os.kill(pid, request["signal"])
            self._tell({"n": request["n"], "there": pid is not None})
        elif container is None:
            self._tell({"n": request["n"]})
        else:
            container.waiting.append(request["n"])
            self._delete(container)

    def _tell(self, message: dict[str, Any], terminal: int | None = None) -> None:
        if self._engine is None:
            return
        fds = array.array("i", [] if terminal is None else [terminal])
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)] if fds else []
        with suppress(ConnectionError):
            self._engine.sendmsg([json.dumps(message).encode()], ancillary)

    # Starting.

    def _start(self, request: dict[str, Any], fds: list[int]) -> None:
        bundle = request["bundle"]
        for leftover in (_PID_FILE, _LOG, _CONSOLE):
            Path(bundle, leftover).unlink(missing_ok=True)
        command = Command(request)
        # Its working directory is the bundle, where short names find the console's socket.
        os.chdir(bundle)
        try:
            if request["tty"]:
                command.console = socket.socket(socket.AF_UNIX)
                command.console.bind(_CONSOLE)
                command.console.listen(1)
                self._poll.register(command.console, select.EPOLLIN)
            pid = spawn(request["argv"], fds)
        except OSError:
            self._close_console(command)
            raise
        finally:
            os.chdir("/")
        self._commands[pid] = command

    def _accept(self, fd: int) -> None:
        """Take the terminal that a runtime hands over."""
        for command in self._commands.values():
            if command.console is not None and command.console.fileno() == fd:
                connection, _ = command.console.accept()
                with connection, suppress(OSError):
                    _, fds, _, _ = socket.recv_fds(connection, 4096, 1)
                    command.terminal = fds[0] if fds else None
                self._close_console(command)
                return

    def _close_console(self, command: Command) -> None:
        if command.console is not None:
            self._poll.unregister(command.console)
            command.console.close()
            command.console = None

    def _started(self, command: Command, code: int) -> None:
        """The runtime has ended: its process runs, or never will."""
        request = command.request
        name, bundle = request["name"], request["bundle"]
        if command.console is not None:
            # What the runtime has sent is there, though nobody was told yet.
            command.console.settimeout(0)
            with suppress(BlockingIOError):
                self._accept(command.console.fileno())
            self._close_console(command)
        try:
            pid = int(Path(bundle, _PID_FILE).read_text()) if code == 0 else 0
        except (OSError, ValueError):
            pid = 0
        if request["do"] == "run":
            container = Container(name, bundle, request["runtime"], request["cgroup"])
            self._containers[name] = container
        else:
            inside = self._containers.get(request["inside"])
            container = inside or Container(name, bundle, [], "")
        if pid:
            container.processes.add(name)
            self._pids[pid] = (name, container)
            self._tell({"n": request["n"], "pid": pid}, command.terminal)
        else:
            self._tell({"n": request["n"], "error": last_error(Path(bundle, _LOG), code)})
            if request["do"] == "run":
                self._delete(container)
        if command.terminal is not None:
            os.close(command.terminal)
        if pid and self._engine is None and container.runtime:
            self._delete(container)
        if early := self._early.pop(pid, None):
            self._exited(pid, *early)

    # Ending.

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if command := self._commands.pop(pid, None):
                self._started(command, os.waitstatus_to_exitcode(status))
                if not self._commands:
                    self._early.clear()
            elif container := self._deletions.pop(pid, None):
                self._deleted(container)
            elif pid in self._pids:
                self._exited(pid, status, time.time_ns())
            elif self._commands:
                self._early[pid] = (status, time.time_ns())

    def _exited(self, pid: int, status: int, when: int) -> None:
        name, container = self._pids.pop(pid)
        self._dying.pop(pid, None)
        container.processes.discard(name)
        code = os.waitstatus_to_exitcode(status)
        report = {
            "exited": name,
            "code": code if code >= 0 else 128 - code,
            "signal": max(0, -code),
            "time": when,
            "oom": was_out_of_memory(container.cgroup),
        }
        if name == container.name:
            with suppress(OSError):
                Path(container.bundle, "exit.tmp").write_text(json.dumps(report))
                Path(container.bundle, "exit.tmp").rename(Path(container.bundle, "exit.json"))
        self._tell(report)
        if name == container.name:
            self._delete(container)

    def _delete(self, container: Container) -> None:
        """Let the runtime remove it, once its first process is gone."""
        if not container.runtime:
            return  # it was removed before: this process was started in it just then
        for pid, (name, of) in self._pids.items():
            if of is container and name == container.name:
                os.kill(pid, signal.SIGKILL)
                self._dying[pid] = container
                return
        if not container.deleting:
            container.deleting = True
            pid = spawn([*container.runtime, "delete", "--force", container.name], [])
            self._deletions[pid] = container

    def _deleted(self, container: Container) -> None:
        self._containers.pop(container.name, None)
        for number in container.waiting:
            self._tell({"n": number})
        self._tell({"deleted": container.name})


def spawn(argv: list[str], fds: list[int]) -> int:
    """Start a program with these standard descriptors, else none; its process ID. OSError."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        given = fds if len(fds) == 3 else [null, null, null]
        return os.posix_spawnp(
            argv[0],
            argv,
            {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, at) for at, fd in enumerate(given)],
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
        )
    finally:
        os.close(null)


def last_error(log: Path, code: int) -> str:
    """What the runtime says went wrong, from its log in JSON lines; without the middle if long."""
    message = ""
    with suppress(OSError):
        for line in log.read_text(errors="replace").splitlines():
            with suppress(ValueError):
                entry = json.loads(line)
                if entry.get("level") in {"error", "fatal"}:
                    message = str(entry.get("msg", ""))
    if len(message) > 2 * _MAX_HALF:
        # It names what was to be started: as much as that fits into no packet.
        message = f"{message[:_MAX_HALF]}…{message[-_MAX_HALF:]}"
    return message or f"the runtime ended with status {code} and without a word"


def thaw(cgroup: str) -> None:
    """Let frozen processes of a control group run: else they could not even die."""
    if cgroup:
        for path, word in (
            (f"/sys/fs/cgroup/freezer{cgroup}/freezer.state", "THAWED"),
            (f"/sys/fs/cgroup{cgroup}/cgroup.freeze", "0"),
        ):
            with suppress(OSError), Path(path).open("r+") as file:
                file.write(word)


def was_out_of_memory(cgroup: str) -> bool:
    """Tell whether the kernel has killed a process of the control group for its memory."""
    if cgroup:
        for path in (
            f"/sys/fs/cgroup/memory{cgroup}/memory.oom_control",
            f"/sys/fs/cgroup{cgroup}/memory.events",
        ):
            with suppress(OSError):
                for line in Path(path).read_text().splitlines():
                    key, _, value = line.partition(" ")
                    if key == "oom_kill" and value != "0":
                        return True
    return False


def main() -> None:
    """Serve the engine at the other end of the socket whose descriptor is the first argument."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    # Handled, not ignored: containers would inherit that.
    for number in (signal.SIGCHLD, *_HANDLED):
        signal.signal(number, lambda _number, _frame: None)
    lock = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    engine = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(engine.fileno(), False)  # noqa: FBT003
    Monitor(engine).serve()


if __name__ == "__main__":
    main()
