"""Background programs: started in their own session, awaited until they answer, ended by pid."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.real.programs import as_root


class NotReadyError(Exception):
    """A background program ended, or did not answer in time; shows the end of its log."""

    def __init__(self, argv: Sequence[str], reason: str, log: Path) -> None:
        self.log = log
        lines = log.read_text(errors="replace").splitlines()[-40:] if log.exists() else []
        super().__init__("\n".join([f"{' '.join(argv)}: {reason}", *lines]))


class Background:
    """A program running in the background, its output in a log file.

    `privileged` runs it as root, through sudo where needed; its real pid is then `pid_file`'s.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        privileged: bool = False,
        pid_file: Path | None = None,
    ) -> None:
        self.argv = tuple(argv)
        self.log = log
        self._privileged = privileged and os.geteuid() != 0
        self._pid_file = pid_file
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                as_root(argv) if privileged else list(argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The program's own pid, not that of a sudo around it."""
        if self._privileged and self._pid_file is not None and self._pid_file.exists():
            return int(self._pid_file.read_text())
        return self.process.pid

    def wait_ready(self, answers: Callable[[], bool], *, seconds: float = 120) -> None:
        """Ask until it answers. Raises NotReadyError if it ends or stays silent that long."""
        deadline = time.monotonic() + seconds
        # The only way to learn that a foreign daemon listens is to ask it again.
        while not answers():
            status = self.process.poll()
            if status is not None:
                raise NotReadyError(self.argv, f"ended with status {status}", self.log)
            if time.monotonic() > deadline:
                raise NotReadyError(self.argv, f"no answer in {seconds} s", self.log)
            time.sleep(0.005)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program; no error if it has ended."""
        if self.process.poll() is not None:
            return
        if self._privileged:
            kill_as_root(self.pid, number)
        else:
            self.process.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a power failure would, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, *, seconds: float = 60) -> int:
        """End it gracefully, by force after `seconds`; returns its exit status."""
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.process.wait()


def kill_as_root(pid: int, number: signal.Signals) -> None:
    """Signal a process of root's. The shell has a `kill`; a minimal Debian has no other."""
    subprocess.run(as_root(["sh", "-c", f"kill -{int(number)} {pid}"]), check=False)


def process_tree(pid: int) -> list[int]:
    """The pid and those of all its living descendants."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name may hold spaces and parentheses: what follows the last one is fixed.
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    tree = [pid]
    for member in tree:
        tree.extend(children.get(member, []))
    return tree


def memory(pid: int, field: str) -> int:
    """Bytes of a field of /proc/PID/status (VmRSS, VmHWM), summed over the process tree."""
    total = 0
    for member in process_tree(pid):
        try:
            status = Path(f"/proc/{member}/status").read_text()
        except OSError:
            continue
        for line in status.splitlines():
            if line.startswith(f"{field}:"):
                total += int(line.split()[1]) * 1024
    return total
