"""The two engines, as the rows see them."""

import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.client import BenchClient
from bench.peers import Registries
from tests.real.dockerd import Dockerd, dockerd
from tests.real.lamina_daemon import LaminaDaemon, lamina_daemon
from tests.real.process import process_tree
from tests.real.programs import as_root

DOWNLOADS = "max-concurrent-downloads=4"
"""So that all layers of the image with large ones come at once, on both; the default is 3."""


class Daemon(Protocol):
    """What both daemons have."""

    @property
    def pid(self) -> int: ...

    def start(self) -> None: ...

    def stop(self) -> object: ...

    def memory(self, field: str = "VmRSS") -> int: ...


@dataclass
class Engine:
    """A running engine under measurement, with a warm connection to it."""

    name: str
    daemon: Daemon
    socket: Path
    client: BenchClient
    registries_or_none: Registries | None = None

    @property
    def version(self) -> str:
        answer = self.client.ask("GET", "/version").json()
        return str(answer["Version"])

    @property
    def registries(self) -> Registries:
        """For the rows that need them."""
        assert self.registries_or_none is not None, "no registry runs"
        return self.registries_or_none

    def restart(self) -> None:
        """Stop it, start it on the same data, and connect anew."""
        self.stop()
        self.daemon.start()
        self.connect()

    def stop(self) -> None:
        self.client.close()
        self.daemon.stop()

    def connect(self) -> None:
        self.client.close()
        self.client = BenchClient(self.socket)

    def forget_image(self, name: str) -> None:
        """Delete an image and everything unreferenced, so that the next load finds nothing."""
        self.client.do("DELETE", f"/images/{name}?force=1")
        self.client.do("POST", "/images/prune")

    @contextmanager
    def peak_memory(self) -> Iterator["Peak"]:
        """Watch the peak resident memory of the whole process tree."""
        # "5" resets VmHWM, so that what was measured before does not count.
        for pid in process_tree(self.daemon.pid):
            command = ["sh", "-c", f"echo 5 > /proc/{pid}/clear_refs"]
            subprocess.run(as_root(command), check=False, stderr=subprocess.DEVNULL)
        peak = Peak(self.daemon)
        thread = threading.Thread(target=peak.watch)
        thread.start()
        try:
            yield peak
        finally:
            peak.done.set()
            thread.join()


class Peak:
    """The highest sum of VmHWM seen; children that come and go (docker-untar) count while there."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.done = threading.Event()
        self.bytes = 0

    def watch(self) -> None:
        while True:
            last = self.done.wait(0.1)
            self.bytes = max(self.bytes, self._daemon.memory("VmHWM"))
            if last:
                return


@contextmanager
def both_engines(parent: Path) -> Iterator[tuple[Engine, Engine]]:
    """dockerd and Lamina, each in a new directory below `parent` on the same file system."""
    with running_dockerd(parent) as first, running_lamina(parent) as second:
        yield first, second


@contextmanager
def two_dockerds(parent: Path) -> Iterator[tuple[Engine, Engine]]:
    """dockerd twice: whatever differs is noise."""
    with running_dockerd(parent) as first, running_dockerd(parent) as second:
        yield first, second


@contextmanager
def running_dockerd(parent: Path) -> Iterator[Engine]:
    with dockerd(options=[f"--{DOWNLOADS}"], parent=parent) as daemon:
        yield from _engine("dockerd", daemon)


@contextmanager
def running_lamina(parent: Path) -> Iterator[Engine]:
    with tempfile.TemporaryDirectory(prefix="lamina-config-") as directory:
        config = Path(directory) / "lamina.toml"
        config.write_text(f"{DOWNLOADS}\n")
        with lamina_daemon(options=["--config", str(config)], parent=parent) as daemon:
            yield from _engine("Lamina", daemon)


def _engine(name: str, daemon: Dockerd | LaminaDaemon) -> Iterator[Engine]:
    engine = Engine(name, daemon, daemon.socket, BenchClient(daemon.socket))
    try:
        yield engine
    finally:
        engine.client.close()
