"""What a dockerd and a Lamina daemon that tests start have in common."""

from pathlib import Path

from tests.real.process import Background, memory


class Daemon:
    """An engine's daemon in a process of its own, on one directory and one unix socket.

    `directory` belongs to the caller. A subclass starts it and puts it into `_background`.
    """

    def __init__(self, directory: Path, socket: Path) -> None:
        self.directory = directory
        self.socket = socket
        self._background: Background | None = None

    @property
    def host(self) -> str:
        """As DOCKER_HOST wants it."""
        return f"unix://{self.socket}"

    @property
    def background(self) -> Background:
        assert self._background is not None, "the daemon has not been started"
        return self._background

    @property
    def pid(self) -> int:
        return self.background.pid

    def memory(self, field: str = "VmRSS") -> int:
        """Bytes of VmRSS or VmHWM, over the daemon and all its children, as its containerd."""
        return memory(self.pid, field)
