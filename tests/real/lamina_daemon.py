"""A real `lamina serve` of this checkout, in a process of its own."""

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.real.checkout import environment
from tests.real.daemon import Daemon
from tests.real.process import Background
from tests.real.rawhttp import answers_ping


class LaminaDaemon(Daemon):
    """`lamina serve` on one root and one unix socket; can be killed and started again.

    `directory` holds the root, the socket and the log; it belongs to the caller. `within` makes the
    command line one that runs elsewhere, such as in a network namespace.
    """

    def __init__(
        self,
        directory: Path,
        *,
        options: Sequence[str] = (),
        answers_on_socket: bool = True,
        within: Sequence[str] = (),
    ) -> None:
        super().__init__(directory, directory / "l.sock")
        self.root = directory / "root"
        self.log = directory / "log"
        self._options = tuple(options)
        self._within = tuple(within)
        self._answers_on_socket = answers_on_socket

    @property
    def argv(self) -> list[str]:
        listen = ["-H", self.host] if self._answers_on_socket else []
        return [
            *self._within,
            *(sys.executable, "-m", "lamina", "serve", "--root", str(self.root)),
            *listen,
            *self._options,
        ]

    def start(self) -> None:
        """Start it and wait until it answers. Raises NotReadyError."""
        self.launch()
        if self._answers_on_socket:
            self.background.wait_ready(lambda: answers_ping(self.socket))

    def launch(self) -> None:
        """Start it without waiting."""
        self._background = Background(self.argv, log=self.log, env=environment())

    def stop(self) -> int | None:
        """End it gracefully; returns its exit status, None if it has never been started."""
        return None if self._background is None else self._background.stop()

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.background.kill()


@contextmanager
def lamina_daemon(
    *, options: Sequence[str] = (), parent: Path | None = None
) -> Iterator[LaminaDaemon]:
    """A running daemon in a new directory below `parent`; at the end both are gone."""
    # Not pytest's own directories: a unix socket's path must stay below 108 bytes.
    directory = Path(tempfile.mkdtemp(prefix="lamina-serve-", dir=parent))
    daemon = LaminaDaemon(directory, options=options)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()
        shutil.rmtree(directory)
