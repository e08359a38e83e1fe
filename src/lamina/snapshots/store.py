"""What keeps root filesystems.

A *layer tree* is what a layer, or a chain of them, is on disk; it is made once, never changed, and
named by its chain ID. A *snapshot* is a writable root filesystem over a chain of layers, under a
key. It is *mounted* to be used, and what was changed in it makes a layer.

`tests/unit/snapshots/conformance.py` says the same in a form every implementation has to pass.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lamina.layers.changes import Change
from lamina.oci.digest import Digest

__all__ = ["LayerSource", "Mounted", "Snapshots"]


@dataclass(frozen=True, slots=True)
class LayerSource:
    """A layer that can be unpacked."""

    diff_id: Digest
    open: Callable[[], AbstractContextManager[Iterator[bytes]]]
    """Opens its uncompressed tar stream; called and read in a worker thread, if at all."""


@dataclass(frozen=True, slots=True)
class Mounted:
    """Where a snapshot is mounted."""

    path: Path
    """Where this process finds it."""
    inside: Path
    """Where a process finds it that was started with `Snapshots.command`."""


class Snapshots(Protocol):
    """Snapshots below one directory, which several processes may share.

    Whatever is cut short, by a cancellation or kill -9, leaves nothing but what `sweep` removes.
    """

    @property
    def driver(self) -> str:
        """How it is done: ``overlay``, ``overlay-userns`` or ``native``, as /info shows it."""

    @property
    def details(self) -> Mapping[str, str]:
        """More of that, for people."""

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command that runs `argv` where mounts are to be seen."""

    async def unpack(self, layers: Sequence[LayerSource]) -> Digest | None:
        """Make the trees that a chain of layers, base first, needs; its chain ID, if it has one.

        InvalidLayer, OSError. Nothing is read of layers that are there.
        """

    async def create(self, key: str, layers: Sequence[LayerSource]) -> None:
        """`unpack`, and make a snapshot over it. Conflict if there is one of that key.

        `key`: 1 to 128 of ``A-Z a-z 0-9 . _ -``, beginning with a letter or digit
        (InvalidParameter).
        """

    async def mount(self, key: str) -> Mounted:
        """Mount a snapshot, if it is not mounted. NotFound."""

    async def unmount(self, key: str) -> None:
        """Unmount it; does nothing if it is not mounted, or not there."""

    def changes_tar(self, key: str, *, latest_ns: int | None = None) -> Iterator[bytes]:
        """The layer that the snapshot's changes make; for a worker thread. NotFound.

        No file in it is later than `latest_ns`, in unix nanoseconds, if that is given.
        The snapshot may be mounted, and even in use: what changes meanwhile is torn, not the tar.
        """

    async def changes(self, key: str) -> list[Change]:
        """What was changed, sorted by path. NotFound."""

    async def usage(self, key: str) -> int:
        """The bytes of the files that were changed or are new. NotFound."""

    async def remove(self, key: str) -> None:
        """Unmount and remove a snapshot. NotFound."""

    async def keys(self) -> list[str]:
        """The keys of all snapshots, sorted."""

    async def trees(self) -> list[Digest]:
        """The chain IDs of all layer trees, sorted."""

    async def remove_tree(self, chain_id: Digest) -> None:
        """Remove a layer tree, if it is there. Conflict if a snapshot is over it."""

    async def sweep(self, *, keep: Callable[[str], bool]) -> None:
        """Remove what killed processes have left, and all snapshots but those to be kept by key."""

    async def close(self) -> None:
        """Let go of what the process holds; mounts stay where they outlive it."""
