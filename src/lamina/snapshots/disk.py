"""The directory below which layer trees and snapshots are.

::

    trees/sha256/HEX/tree      a layer tree, by chain ID
    trees/sha256/HEX/boot      the boot it was made in, until the disk is known to have it
    snapshots/KEY/             a snapshot; `chain` in it names the tree it is over
    staging/RANDOM/            what is being made or removed; locked by who does it
    empty/                     a layer tree for those who need one and have none

Trees and snapshots are made in `staging` and renamed, so they are whole if they are there. A tree
is not flushed before it is used, because that takes longer than to make it: until it is, it counts
for the boot it was made in only. After a power cut it is made again.
"""

import errno
import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from lamina.errors import Conflict, InvalidParameter, LaminaError, NotFound
from lamina.layers.directories import OPEN_DIRECTORY, remove
from lamina.oci.digest import Digest
from lamina.snapshots.mounting import sync_file_system

__all__ = ["SnapshotDisk", "TreeRemoved", "opened"]

_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_CHAIN: Final = "chain"


class TreeRemoved(Conflict):
    """A layer tree was removed, by whoever knew of no use for it, before a snapshot was over it."""


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor of a directory."""
    fd = os.open(path, OPEN_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


class SnapshotDisk:
    """Names and life cycles of what is below `root`; what it is inside is the drivers' business."""

    def __init__(self, root: Path) -> None:
        self.root: Final = root
        self._trees = root / "trees"
        self._snapshots = root / "snapshots"
        self._staging = root / "staging"
        self.empty: Final = root / "empty"
        for path in (self._trees / "sha256", self._snapshots, self._staging, self.empty):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.empty.chmod(0o755)
        self._boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    # Layer trees.

    def tree(self, chain_id: Digest) -> Path:
        """Where a layer tree is, or would be."""
        return self._holder(chain_id) / "tree"

    def has_tree(self, chain_id: Digest) -> bool:
        """Tell whether a layer tree is there and whole; one that may not be is removed."""
        holder = self._holder(chain_id)
        try:
            boot = (holder / "boot").read_text()
        except FileNotFoundError:
            return holder.is_dir()
        if boot == self._boot:
            return True
        with suppress(FileNotFoundError):
            # Others may be about to make it again, too.
            self.discard(holder)
        return False

    @contextmanager
    def reading(self, chain_ids: Sequence[Digest]) -> Iterator[None]:
        """TreeRemoved if one of these trees is not there until it was read to its end.

        What is being removed looks like a tree with less in it.
        """
        with ExitStack() as stack:
            held: dict[Digest, int] = {}
            for chain_id in chain_ids:
                with self._removal_told(chain_id):
                    held[chain_id] = stack.enter_context(opened(self._holder(chain_id)))
            try:
                yield
            except (OSError, LaminaError):
                self._check_held(held)
                raise
            self._check_held(held)

    def _check_held(self, held: Mapping[Digest, int]) -> None:
        for chain_id, fd in held.items():
            with self._removal_told(chain_id):
                if not os.path.samestat(os.fstat(fd), self._holder(chain_id).stat()):
                    raise FileNotFoundError

    @contextmanager
    def _removal_told(self, chain_id: Digest) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise TreeRemoved(f"layer tree {chain_id} was removed meanwhile") from None

    def trees(self) -> list[Digest]:
        """The chain IDs of all layer trees, sorted."""
        found: list[Digest] = []
        for path in self._trees.glob("*/*"):
            with suppress(InvalidParameter):
                found.append(Digest.parse(f"{path.parent.name}:{path.name}"))
        return sorted(found)

    def publish_tree(self, staged: Path, chain_id: Digest) -> None:
        """Make `staged`, which has a ``tree`` in it, a layer tree; another of the same wins."""
        (staged / "boot").write_text(self._boot)
        holder = self._holder(chain_id)
        holder.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            staged.rename(holder)
        except OSError as error:
            if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
                raise

    def flush(self, chain_ids: list[Digest]) -> None:
        """Wait until the disk has these trees, and say so for every boot to come."""
        with opened(self.root) as fd:
            sync_file_system(fd)
        for chain_id in chain_ids:
            (self._holder(chain_id) / "boot").unlink(missing_ok=True)

    def remove_tree(self, chain_id: Digest) -> None:
        """Remove a layer tree, if it is there. Conflict if a snapshot is over it."""
        with self._snapshots_as_they_are():
            for key in self.keys():
                if str(chain_id) in self.chain(key):
                    raise Conflict(f"layer tree {chain_id} is used by snapshot {key}")
            try:
                name = self._moved_away(self._holder(chain_id))
            except FileNotFoundError:
                return
        self._remove_staged(name)

    @contextmanager
    def _snapshots_as_they_are(self) -> Iterator[None]:
        """Nobody else, of whatever process, publishes a snapshot or removes a tree meanwhile."""
        with opened(self._snapshots) as fd:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield

    def _holder(self, chain_id: Digest) -> Path:
        return self._trees / chain_id.algorithm / chain_id.hex

    # Snapshots.

    def snapshot(self, key: str) -> Path:
        """Where a snapshot is, or would be. InvalidParameter."""
        if not _KEY.fullmatch(key):
            raise InvalidParameter(f"invalid snapshot key {key!r}")
        return self._snapshots / key

    def existing(self, key: str) -> Path:
        """Where a snapshot is. NotFound."""
        path = self.snapshot(key)
        if not path.is_dir():
            raise NotFound(f"no such snapshot: {key}")
        return path

    def keys(self) -> list[str]:
        """The keys of all snapshots, sorted."""
        return sorted(path.name for path in self._snapshots.iterdir())

    def chain(self, key: str) -> list[str]:
        """The chain IDs of the trees that a snapshot needs, base first."""
        try:
            return (self.snapshot(key) / _CHAIN).read_text().split()
        except FileNotFoundError:
            return []

    def publish_snapshot(self, staged: Path, key: str, chain_ids: Sequence[Digest]) -> None:
        """Make `staged` a snapshot over trees. Conflict, TreeRemoved."""
        (staged / _CHAIN).write_text("\n".join(str(chain_id) for chain_id in chain_ids))
        target = self.snapshot(key)
        with self._snapshots_as_they_are():
            for chain_id in chain_ids:
                if not self.has_tree(chain_id):
                    raise TreeRemoved(f"layer tree {chain_id} was removed meanwhile")
            try:
                staged.rename(target)
            except OSError as error:
                if target.is_dir():
                    raise Conflict(f"snapshot {key} already exists") from error
                raise

    # What is being made or removed.

    @contextmanager
    def staged(self) -> Iterator[Path]:
        """A new directory, locked; what is left of it at the end is removed."""
        while True:
            path = self._staging / secrets.token_hex(8)
            path.mkdir(mode=0o700)
            fd = os.open(path, OPEN_DIRECTORY)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                break
            os.close(fd)  # swept before it was locked
        try:
            yield path
        finally:
            try:
                self._remove_staged(path.name)
            finally:
                # What could not be removed is to be swept.
                os.close(fd)

    def discard(self, path: Path) -> None:
        """Remove a tree or a snapshot, at once for all others. FileNotFoundError."""
        self._remove_staged(self._moved_away(path))

    def _moved_away(self, path: Path) -> str:
        """The name under which it is now among what is to be removed. FileNotFoundError."""
        name = secrets.token_hex(8)
        path.rename(self._staging / name)
        return name

    def sweep(self, *, release: Callable[[Path], None] = lambda _: None) -> None:
        """Remove what nobody is making any more; `release` ends what keeps it from being removed.

        Others may be at work in the rest: looking, for example, whether an overlay can be mounted.
        """
        for path in list(self._staging.iterdir()):
            with suppress(FileNotFoundError), opened(path) as fd:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                release(path)
                self._remove_staged(path.name)

    def _remove_staged(self, name: str) -> None:
        with opened(self._staging) as fd, suppress(FileNotFoundError):
            remove(name, within=fd)
