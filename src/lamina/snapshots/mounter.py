"""Who mounts overlays, and where they are seen: this process, or one in a user namespace."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Protocol

from lamina.errors import Unavailable
from lamina.layers.ownership import Ownership
from lamina.snapshots.mounting import mount_overlay, mounts_below, unmount

__all__ = ["HostMounter", "Mounter", "NamespaceMounter"]


class Mounter(Protocol):
    """Mounts overlays; all its calls are for worker threads."""

    driver: str
    ownership: Ownership
    overlay_xattrs: str

    def mount(self, target: Path, *, lowers: list[Path], upper: Path, work: Path) -> None:
        """Mount an overlay. Raises OSError."""

    def unmount(self, target: Path) -> None:
        """Unmount it, if it is mounted. Raises OSError."""

    def mounts_below(self, root: Path) -> list[str]:
        """Where below `root` something is mounted."""

    def seen(self, target: Path) -> Path:
        """Where this process finds what is mounted at `target`."""

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command that runs `argv` where the mounts are."""

    def close(self) -> None:
        """Let go of what is held."""


class HostMounter:
    """Mounts in this process's own namespace, which needs root; they outlive it."""

    driver = "overlay"
    ownership = Ownership.SET
    overlay_xattrs = "trusted.overlay."

    def mount(self, target: Path, *, lowers: list[Path], upper: Path, work: Path) -> None:
        """As the protocol says."""
        mount_overlay(target, lowers=lowers, upper=upper, work=work)

    def unmount(self, target: Path) -> None:
        """As the protocol says."""
        unmount(target)

    def mounts_below(self, root: Path) -> list[str]:
        """As the protocol says."""
        return mounts_below(root)

    def seen(self, target: Path) -> Path:
        """As the protocol says."""
        return target

    def command(self, argv: Sequence[str]) -> list[str]:
        """As the protocol says."""
        return list(argv)

    def close(self) -> None:
        """As the protocol says: nothing is."""


class NamespaceMounter:
    """Mounts in a user namespace where the caller is root, alone: other users are not mapped.

    So owners are recorded, not set. The mounts end with this object, or with the process, unless
    something that runs in the namespace still uses them. Raises Unavailable.
    """

    driver = "overlay-userns"
    ownership = Ownership.RECORDED
    overlay_xattrs = "user.overlay."

    def __init__(self) -> None:
        self._lock = Lock()
        # Nothing of the caller's environment is wanted there but where the modules are.
        self._holder = subprocess.Popen(
            [sys.executable, "-m", "lamina.snapshots.holder"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            cwd="/",
            text=True,
        )
        try:
            self._reply("user namespace")
        except OSError as error:
            self.close()
            raise Unavailable(f"no user namespace: {error}") from error

    @property
    def pid(self) -> int:
        """The process whose namespaces they are."""
        return self._holder.pid

    def mount(self, target: Path, *, lowers: list[Path], upper: Path, work: Path) -> None:
        """As the protocol says."""
        paths = {"target": str(target), "upper": str(upper), "work": str(work)}
        self._ask({"do": "mount", "lowers": [str(path) for path in lowers], **paths})

    def unmount(self, target: Path) -> None:
        """As the protocol says."""
        self._ask({"do": "unmount", "target": str(target)})

    def mounts_below(self, root: Path) -> list[str]:
        """As the protocol says."""
        return mounts_below(root, process=str(self.pid))

    def seen(self, target: Path) -> Path:
        """As the protocol says."""
        return Path(f"/proc/{self.pid}/root{target}")

    def command(self, argv: Sequence[str]) -> list[str]:
        """As the protocol says."""
        enter = ["nsenter", "--preserve-credentials", "--user", "--mount", f"--target={self.pid}"]
        return [*enter, "--", *argv]

    def close(self) -> None:
        """As the protocol says."""
        with self._lock:
            for pipe in (self._holder.stdin, self._holder.stdout):
                assert pipe is not None
                # What could not be written to one that was killed is tried once more.
                with suppress(BrokenPipeError):
                    pipe.close()
            self._holder.wait()

    def _ask(self, request: dict[str, object]) -> None:
        with self._lock:
            assert self._holder.stdin is not None
            self._holder.stdin.write(f"{json.dumps(request)}\n")
            self._holder.stdin.flush()
            self._reply(str(request["target"]))

    def _reply(self, subject: str) -> None:
        assert self._holder.stdout is not None
        line = self._holder.stdout.readline()
        reply = json.loads(line) if line else {"errno": 0, "why": "the holder has ended"}
        if reply:
            raise OSError(reply["errno"], reply["why"], subject)
