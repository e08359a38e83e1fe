"""A private dockerd: its own socket, data, state and namespace; the machine's own stays untouched.

Needs root (or a sudo that asks nothing), no network and no iptables.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.real.process import Background
from tests.real.programs import as_root, require
from tests.real.rawhttp import answers_ping


@dataclass(frozen=True)
class Dockerd:
    """A running dockerd."""

    socket: Path
    data_root: Path
    background: Background

    @property
    def host(self) -> str:
        """As DOCKER_HOST wants it."""
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        return self.background.pid


@contextmanager
def dockerd(*, options: Sequence[str] = (), parent: Path | None = None) -> Iterator[Dockerd]:
    """Start a dockerd in a new directory below `parent`; at the end both are gone.

    Raises MissingProgramError, NotReadyError.
    """
    program = require("dockerd")
    # Not pytest's own directories: a unix socket's path must stay below 108 bytes.
    root = Path(tempfile.mkdtemp(prefix="lamina-dockerd-", dir=parent))
    socket, data_root, pid_file = root / "d.sock", root / "data", root / "pid"
    config = root / "daemon.json"
    # Given explicitly, or the machine's own /etc/docker/daemon.json would be read.
    config.write_text("{}")
    background = Background(
        [
            program,
            f"--config-file={config}",
            f"--data-root={data_root}",
            f"--exec-root={root / 'exec'}",
            f"--pidfile={pid_file}",
            f"--host=unix://{socket}",
            f"--group={os.getgid()}",
            # Were a system containerd running, dockerd would share it: so keep to a namespace.
            f"--containerd-namespace={root.name}",
            f"--containerd-plugins-namespace={root.name}-plugins",
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
            *options,
        ],
        log=root / "log",
        privileged=True,
        pid_file=pid_file,
    )
    try:
        background.wait_ready(lambda: answers_ping(socket))
        yield Dockerd(socket, data_root, background)
    finally:
        background.stop()
        _end_containerd(root / "exec" / "containerd" / "containerd.pid")
        _unmount_below(root)
        _remove(root)


def _end_containerd(pid_file: Path) -> None:
    """End a containerd which a dockerd that was killed has left behind."""
    try:
        pid = int(pid_file.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return
    if str(pid_file.parent).encode() in command:
        subprocess.run(as_root(["kill", "-KILL", str(pid)]), check=False)


def _unmount_below(root: Path) -> None:
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    # Deepest first, and one mounted over another in the reverse of the order of mounting.
    for mount in sorted(
        (m for m in reversed(mounts) if Path(m).is_relative_to(root)), key=len, reverse=True
    ):
        subprocess.run(as_root(["umount", "--lazy", mount]), check=False)


def _remove(root: Path) -> None:
    if os.geteuid() == 0:
        shutil.rmtree(root)
    else:
        subprocess.run(as_root(["rm", "-rf", "--one-file-system", str(root)]), check=True)
