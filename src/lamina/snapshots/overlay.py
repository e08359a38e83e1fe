"""Snapshots by overlayfs: a layer is unpacked once, for itself, and shared by all above it."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from lamina.content.threads import run_to_end
from lamina.layers.apply import Applied, ApplyOptions, apply_layer
from lamina.layers.changes import Change, lower_node, upper_changes
from lamina.layers.diff import DiffOptions, all_below, size_of, upper_tar
from lamina.layers.ownership import RECORD, Ownership, Recorded
from lamina.layers.tree import Node, Tree
from lamina.oci.digest import Digest
from lamina.snapshots.disk import opened
from lamina.snapshots.flushing import PATIENCE
from lamina.snapshots.mounter import HostMounter, Mounter
from lamina.snapshots.on_disk import SnapshotsOnDisk
from lamina.snapshots.stopping import Stop, until_stopped
from lamina.snapshots.store import LayerSource, Mounted

__all__ = ["OverlaySnapshots"]


class OverlaySnapshots(SnapshotsOnDisk):
    """`Snapshots` as overlays, which `mounter` mounts; else this process does, which needs root.

    `patience` is that of `SnapshotsOnDisk`.
    """

    def __init__(
        self, root: Path, *, mounter: Mounter | None = None, patience: float | None = PATIENCE
    ) -> None:
        # True paths, since they are looked for among the mounts.
        super().__init__(root.absolute(), workers=len(os.sched_getaffinity(0)), patience=patience)
        self._mounter = mounter or HostMounter()
        self._apply_options = ApplyOptions(
            ownership=self._mounter.ownership, overlay_xattrs=self._mounter.overlay_xattrs
        )
        self._diff_options = DiffOptions(
            ownership=self._mounter.ownership, overlay_xattrs=self._mounter.overlay_xattrs
        )

    @property
    def driver(self) -> str:
        """As the protocol says."""
        return self._mounter.driver

    @property
    def details(self) -> Mapping[str, str]:
        """As the protocol says."""
        userxattr = self._mounter.overlay_xattrs.startswith("user.")
        return {
            "Native Overlay Diff": "true",
            "userxattr": str(userxattr).lower(),
            "Ownership": self._mounter.ownership.value,
        }

    def command(self, argv: Sequence[str]) -> list[str]:
        """As the protocol says."""
        return self._mounter.command(argv)

    async def _unpack(self, layers: Sequence[LayerSource], chain: Sequence[Digest]) -> None:
        """Make the trees of layers, side by side."""
        # A few at a time, so that a long image does not keep everything staged until its base is
        # there.
        width = 2 * len(os.sched_getaffinity(0))
        for start in range(0, len(layers), width):
            await self._unpack_part(chain, layers, range(start, min(start + width, len(layers))))

    async def _unpack_part(
        self, chain: Sequence[Digest], layers: Sequence[LayerSource], part: range
    ) -> None:
        """Unpack layers side by side; make them trees in their order."""
        loop = asyncio.get_running_loop()
        done = {at: loop.create_future() for at in part}
        stop = Stop()
        try:
            async with asyncio.TaskGroup() as group:
                for at in part:
                    group.create_task(
                        self._unpack_one(
                            layers[at],
                            chain[: at + 1],
                            below=done.get(at - 1),
                            done=done[at],
                            stop=stop,
                        )
                    )
        except BaseExceptionGroup as several:
            # The rest of them is what the first made of the others.
            raise stop.cause or several.exceptions[0] from None

    async def _unpack_one(
        self,
        layer: LayerSource,
        chain: Sequence[Digest],
        *,
        below: asyncio.Future[None] | None,
        done: asyncio.Future[None],
        stop: Stop,
    ) -> None:
        """Make the tree of the last layer of a chain, when that below it is there."""
        if not await run_to_end(lambda: self._disk.has_tree(chain[-1]), self._threads):
            async with self._staged() as path:
                try:
                    applied = await run_to_end(
                        lambda: _apply(layer, path / "tree", self._apply_options, stop),
                        self._threads,
                        stop=stop.set,
                    )
                except Exception as error:
                    stop.fail(error)
                    raise
                if below is not None:
                    await below
                await run_to_end(lambda: self._publish(path, applied, chain), self._threads)
        elif below is not None:
            await below
        done.set_result(None)

    @asynccontextmanager
    async def _staged(self) -> AsyncIterator[Path]:
        """`SnapshotDisk.staged`, removed also if the caller is cancelled while it is made."""
        staging = self._disk.staged()
        made: list[Path] = []
        try:
            await run_to_end(lambda: made.append(staging.__enter__()), self._threads)
            yield made[0]
        finally:
            if made:
                await run_to_end(lambda: staging.__exit__(None, None, None), self._threads)

    def _publish(self, staged: Path, applied: Applied, chain: Sequence[Digest]) -> None:
        below = chain[-2::-1] if applied.implied else ()
        with self._disk.reading(below):
            lowers = [self._disk.tree(chain_id) for chain_id in below]
            complete_implied(staged / "tree", applied, lowers, self._apply_options)
        self._made(staged, chain[-1])

    def _create(self, key: str, chain: Sequence[Digest], stop: Stop) -> None:
        del stop  # it takes no time
        with self._disk.staged() as path, self._disk.reading(chain[-1:]):
            below = self._disk.tree(chain[-1]) if chain else self._disk.empty
            for name in ("upper", "work", "merged"):
                (path / name).mkdir()
            there = below.stat()
            if self._mounter.ownership is Ownership.SET:
                os.chown(path / "upper", there.st_uid, there.st_gid)
            else:
                with suppress(OSError):
                    os.setxattr(path / "upper", RECORD, os.getxattr(below, RECORD))
            (path / "upper").chmod(stat.S_IMODE(there.st_mode))
            os.utime(path / "upper", ns=(there.st_mtime_ns, there.st_mtime_ns))
            self._disk.publish_snapshot(path, key, chain)

    async def mount(self, key: str) -> Mounted:
        """As the protocol says."""
        path = self._disk.existing(key)
        target = path / "merged"
        await run_to_end(lambda: self._mount(key, path, target), self._threads)
        return Mounted(path=self._mounter.seen(target), inside=target)

    def _mount(self, key: str, path: Path, target: Path) -> None:
        if str(target) not in self._mounter.mounts_below(target):
            self._mounter.mount(
                target, lowers=self._lowers(key), upper=path / "upper", work=path / "work"
            )

    def _lowers(self, key: str) -> list[Path]:
        chain = [Digest.parse(text) for text in self._disk.chain(key)]
        return [self._disk.tree(chain_id) for chain_id in reversed(chain)] or [self._disk.empty]

    async def unmount(self, key: str) -> None:
        """As the protocol says."""
        target = self._disk.snapshot(key) / "merged"
        await run_to_end(lambda: self._mounter.unmount(target), self._threads)

    def changes_tar(self, key: str, *, latest_ns: int | None = None) -> Iterator[bytes]:
        """As the protocol says."""
        options = replace(self._diff_options, latest_ns=latest_ns)
        with opened(self._disk.existing(key) / "upper") as upper:
            yield from upper_tar(upper, options)

    async def changes(self, key: str) -> list[Change]:
        """As the protocol says."""
        path = self._disk.existing(key)
        return await run_to_end(lambda: self._changes(key, path), self._threads)

    def _changes(self, key: str, path: Path) -> list[Change]:
        opened_lowers = [os.open(lower, os.O_RDONLY) for lower in self._lowers(key)]
        try:
            with opened(path / "upper") as upper:
                return list(upper_changes(upper, opened_lowers, self._diff_options))
        finally:
            for fd in opened_lowers:
                os.close(fd)

    async def usage(self, key: str) -> int:
        """As the protocol says."""
        path = self._disk.existing(key)
        return await run_to_end(lambda: self._usage(path), self._threads)

    def _usage(self, path: Path) -> int:
        with opened(path / "upper") as upper:
            tree = Tree(upper, self._mounter.ownership)
            try:
                return size_of(all_below(tree))
            finally:
                tree.close()

    def _release(self, path: Path) -> None:
        # A mount keeps its place from being removed: of a snapshot moved away, for example.
        for place in self._mounter.mounts_below(path):
            self._mounter.unmount(Path(place))

    async def close(self) -> None:
        """As the protocol says."""
        await super().close()
        await asyncio.to_thread(self._mounter.close)


def _apply(layer: LayerSource, target: Path, options: ApplyOptions, stop: Stop) -> Applied:
    target.mkdir(mode=0o755)
    target.chmod(0o755)
    with layer.open() as chunks:
        return apply_layer(until_stopped(chunks, stop), target, options)


def complete_implied(
    tree: Path, applied: Applied, lowers: Sequence[Path], options: ApplyOptions
) -> None:
    """Give directories that a layer implies the attributes that they have in the layers below.

    On overlayfs a directory hides what the lower ones say of it, though they say more.
    """
    if not (applied.implied and lowers):
        return
    fds = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (tree, *lowers)]
    trees = [Tree(fd, options.ownership) for fd in fds]
    opaque = f"{options.overlay_xattrs}opaque"
    try:
        for path in applied.implied:
            own = trees[0].node(path)
            if own is None or not own.is_directory or _is_hidden(trees[0], path, opaque):
                continue
            below = lower_node(trees[1:], path, opaque)
            if below is not None and below.is_directory:
                _adopt(trees[0].descriptor(path), below, options.ownership)
    finally:
        for each in trees:
            each.close()
        for fd in fds:
            os.close(fd)


def _is_hidden(tree: Tree, path: str, opaque: str) -> bool:
    """Tell whether the tree hides what is below it at a path."""
    steps = path.split("/") if path else []
    above = ["/".join(steps[:depth]) for depth in range(len(steps) + 1)]
    return any(tree.xattr(at, opaque) is not None for at in above)


def _adopt(fd: int, below: Node, ownership: Ownership) -> None:
    if ownership is Ownership.SET:
        os.fchown(fd, below.uid, below.gid)
        os.fchmod(fd, stat.S_IMODE(below.mode))
    else:
        with suppress(OSError):
            os.setxattr(fd, RECORD, Recorded(below.mode, below.uid, below.gid).format())
        os.fchmod(fd, below.mode & 0o777 | 0o700)
    os.utime(fd, ns=(below.mtime_ns, below.mtime_ns))
