"""The registries both engines talk to, and the tools without a daemon that are measured beside."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.real.dockerd import remove_tree, unmount_below
from tests.real.programs import as_root, require
from tests.real.registry import Registry, registry
from tests.real.tools import skopeo_copy

PULLED = "bench/big:1"
"""The image in the registry that is pulled from, as skopeo compressed it."""


@dataclass(frozen=True)
class Registries:
    """Two of Debian's docker-registry: what is pulled is in one; the other is emptied at will."""

    source: Registry
    target: Registry

    @property
    def pulled(self) -> str:
        """The image to pull: everybody pulls the same bytes."""
        return f"{self.source.address}/{PULLED}"

    def empty(self) -> None:
        """Make the registry that is pushed to forget everything; it keeps nothing in memory."""
        shutil.rmtree(self.target.storage, ignore_errors=True)


@contextmanager
def registries(parent: Path, image: Path) -> Iterator[Registries]:
    """Both registries, with the docker-archive `image` in the one to pull from, gzip-compressed."""
    with registry(parent=parent) as source, registry(parent=parent) as target:
        both = Registries(source, target)
        destination = f"docker://{both.pulled}"
        skopeo_copy(f"docker-archive:{image}", destination, "--dest-tls-verify=false", timeout=600)
        yield both


class Tools:
    """podman and skopeo on one container storage (overlay) of their own, below `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._storage = (directory / "root", directory / "run")

    def podman(self, *arguments: str) -> None:
        """Run podman. Raises CalledProcessError."""
        root, state = self._storage
        options = ("--storage-driver=overlay", "--runtime=runc")
        self._run("podman", f"--root={root}", f"--runroot={state}", *options, *arguments)

    def podman_run(self, *arguments: str) -> None:
        """Run a container by podman, with limits that need no more privileges than dockerd's."""
        limits = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")
        self.podman("run", "--network=none", *limits, *arguments)

    def podman_build(self, *arguments: str) -> None:
        """Build by podman."""
        self.podman("build", "--quiet", "--network=none", *arguments)

    def skopeo_copy(self, source: str, destination: str) -> None:
        """Copy from or to a registry of the benchmark. Raises CalledProcessError."""
        side = "src" if source.startswith("docker://") else "dest"
        options = ["--insecure-policy", "copy", "--quiet", f"--{side}-tls-verify=false"]
        self._run("skopeo", *options, source, destination)

    def stored(self, name: str) -> str:
        """An image in the storage, as skopeo names it."""
        root, state = self._storage
        return f"containers-storage:[overlay@{root}+{state}]{name}"

    def forget_images(self) -> None:
        """Remove all images."""
        self.podman("rmi", "--all", "--force")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            as_root([require(program), *arguments]), check=True, capture_output=True, timeout=600
        )


@contextmanager
def tools(parent: Path) -> Iterator[Tools]:
    """podman and skopeo in a new directory below `parent`, which is gone at the end."""
    # Short: podman refuses a state directory of more than 50 characters.
    directory = Path(tempfile.mkdtemp(prefix="tools-", dir=parent))
    try:
        yield Tools(directory)
    finally:
        unmount_below(directory)
        remove_tree(directory)
