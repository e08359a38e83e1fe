"""A private dockerd: its own socket, data, state and namespace; the machine's own stays untouched.

Needs root (or a sudo that asks nothing), no network and no iptables.
"""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.real.daemon import Daemon
from tests.real.process import Background, kill_as_root
from tests.real.programs import as_root, require
from tests.real.rawhttp import answers_ping


class Dockerd(Daemon):
    """A dockerd on one directory; can be stopped or killed and started again.

    `directory` holds its data, state, socket and log; it belongs to the caller.
    """

    def __init__(self, directory: Path, *, options: Sequence[str] = ()) -> None:
        super().__init__(directory, directory / "d.sock")
        self.data_root = directory / "data"
        self._exec_root = directory / "exec"
        self._options = tuple(options)

    def start(self) -> None:
        """Start it and wait until it answers. Raises MissingProgramError, NotReadyError."""
        program = require("dockerd")
        config, pid_file = self.directory / "daemon.json", self.directory / "pid"
        # Given explicitly, or the machine's own /etc/docker/daemon.json would be read.
        config.write_text("{}")
        # Not the directory's name, whose random part may end in `_`: containerd refuses that, and
        # dockerd then fails with every image that is to be deleted.
        namespace = f"lamina-{secrets.token_hex(6)}"
        self._background = Background(
            [
                program,
                f"--config-file={config}",
                f"--data-root={self.data_root}",
                f"--exec-root={self._exec_root}",
                f"--pidfile={pid_file}",
                f"--host={self.host}",
                f"--group={os.getgid()}",
                # Were a system containerd running, dockerd would share it: so keep to a namespace.
                f"--containerd-namespace={namespace}",
                f"--containerd-plugins-namespace={namespace}-plugins",
                "--bridge=none",
                "--iptables=false",
                "--ip6tables=false",
                *self._options,
            ],
            log=self.directory / "log",
            privileged=True,
            pid_file=pid_file,
        )
        self._background.wait_ready(lambda: answers_ping(self.socket))

    def stop(self) -> None:
        """End it and its containerd, gracefully; nothing happens if it is not running."""
        if self._background is not None:
            self._background.stop()
            _end_containerd(self._exec_root / "containerd" / "containerd.pid")

    def kill(self) -> None:
        """kill -9, for its containerd too."""
        self.background.kill()
        _end_containerd(self._exec_root / "containerd" / "containerd.pid")


@contextmanager
def dockerd(*, options: Sequence[str] = (), parent: Path | None = None) -> Iterator[Dockerd]:
    """A running dockerd in a new directory below `parent`; at the end both are gone.

    Raises MissingProgramError, NotReadyError.
    """
    # Not pytest's own directories: a unix socket's path must stay below 108 bytes.
    directory = Path(tempfile.mkdtemp(prefix="lamina-dockerd-", dir=parent))
    daemon = Dockerd(directory, options=options)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()
        unmount_below(directory)
        remove_tree(directory)


def _end_containerd(pid_file: Path) -> None:
    """End a containerd which a dockerd that was killed has left behind."""
    try:
        pid = int(pid_file.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return
    if str(pid_file.parent).encode() in command:
        kill_as_root(pid, signal.SIGKILL)


def unmount_below(root: Path) -> None:
    """Unmount what a program has left mounted below a directory."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    # Deepest first, and one mounted over another in the reverse of the order of mounting.
    for mount in sorted(
        (m for m in reversed(mounts) if Path(m).is_relative_to(root)), key=len, reverse=True
    ):
        subprocess.run(as_root(["umount", "--lazy", mount]), check=False)


def remove_tree(root: Path) -> None:
    """Remove a directory with files of root's."""
    if os.geteuid() == 0:
        shutil.rmtree(root)
    else:
        subprocess.run(as_root(["rm", "-rf", "--one-file-system", str(root)]), check=True)
