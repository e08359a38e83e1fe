"""Snapshots by copying, where no overlay is to be had: slow and large, and works everywhere."""

import asyncio
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

from lamina.content.threads import run_to_end
from lamina.layers.apply import ApplyOptions, Form, LayerApplier, apply_layer
from lamina.layers.changes import Change, difference_changes
from lamina.layers.diff import DiffOptions, all_below, compared, difference_tar, size_of
from lamina.layers.ownership import RECORD, Ownership
from lamina.layers.tarheader import TYPES_OF_FILES, EntryType, TarHeader
from lamina.layers.tree import Node, Tree
from lamina.oci.digest import Digest
from lamina.oci.rootfs import chain_ids
from lamina.snapshots.disk import SnapshotDisk, opened
from lamina.snapshots.flushing import Flusher
from lamina.snapshots.stopping import Stop, Stopped, until_stopped
from lamina.snapshots.store import LayerSource, Mounted

__all__ = ["NativeSnapshots", "copy_directory", "copy_tree"]


class NativeSnapshots:
    """`Snapshots` as plain directories: each tree is the whole of its chain, each snapshot a copy.

    Only the tree of a whole image is kept, made of the nearest one below it that is there. Who is
    not root keeps owners and devices in records (`lamina.layers.ownership`).
    """

    driver: Final = "native"

    def __init__(
        self, root: Path, *, flush: bool = True, ownership: Ownership | None = None
    ) -> None:
        self._disk = SnapshotDisk(root)
        self._flusher = Flusher(self._disk.flush) if flush else None
        if ownership is None:
            ownership = Ownership.SET if os.geteuid() == 0 else Ownership.RECORDED
        self._ownership = ownership
        self._options = DiffOptions(ownership=ownership)
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="snapshots")

    @property
    def details(self) -> Mapping[str, str]:
        """As the protocol says."""
        return {"Ownership": self._ownership.value}

    def command(self, argv: Sequence[str]) -> list[str]:
        """As the protocol says: there are no mounts."""
        return list(argv)

    async def unpack(self, layers: Sequence[LayerSource]) -> Digest | None:
        """As the protocol says; one layer after the other."""
        chain = chain_ids(layer.diff_id for layer in layers)
        stop = Stop()
        await run_to_end(lambda: self._unpack(layers, chain, stop), self._threads, stop=stop.set)
        return chain[-1] if chain else None

    def _unpack(self, layers: Sequence[LayerSource], chain: Sequence[Digest], stop: Stop) -> None:
        there = 0
        for count in range(len(chain), 0, -1):
            if self._disk.has_tree(chain[count - 1]):
                there = count
                break
        if there == len(chain):
            return
        options = ApplyOptions(form=Form.MERGED, ownership=self._ownership)
        with self._disk.staged() as path:
            target = path / "tree"
            target.mkdir()
            target.chmod(0o755)
            if there:
                copy_tree(self._disk.tree(chain[there - 1]), target, self._ownership, stop)
            for layer in layers[there:]:
                with layer.open() as chunks:
                    apply_layer(until_stopped(chunks, stop), target, options)
            self._disk.publish_tree(path, chain[-1])
        if self._flusher is not None:
            self._flusher.add(chain[-1])

    async def create(self, key: str, layers: Sequence[LayerSource]) -> None:
        """As the protocol says."""
        self._disk.snapshot(key)
        top = await self.unpack(layers)
        stop = Stop()
        await run_to_end(lambda: self._create(key, top, stop), self._threads, stop=stop.set)

    def _create(self, key: str, top: Digest | None, stop: Stop) -> None:
        with self._disk.staged() as path:
            target = path / "merged"
            target.mkdir()
            target.chmod(0o755)
            copy_tree(self._below(top), target, self._ownership, stop)
            self._disk.publish_snapshot(path, key, [top] if top else [])

    def _below(self, top: Digest | None) -> Path:
        return self._disk.tree(top) if top else self._disk.empty

    def _pair(self, key: str) -> tuple[Path, Path]:
        """What a snapshot was copied from, and the snapshot. NotFound."""
        path = self._disk.existing(key)
        chain = self._disk.chain(key)
        return self._below(Digest.parse(chain[0]) if chain else None), path / "merged"

    async def mount(self, key: str) -> Mounted:
        """As the protocol says: it always is."""
        path = self._disk.existing(key) / "merged"
        return Mounted(path=path, inside=path)

    async def unmount(self, key: str) -> None:
        """As the protocol says: it never is."""
        self._disk.snapshot(key)

    def changes_tar(self, key: str, *, latest_ns: int | None = None) -> Iterator[bytes]:
        """As the protocol says."""
        options = replace(self._options, latest_ns=latest_ns)
        below, now = self._pair(key)
        with opened(below) as lower, opened(now) as upper:
            yield from difference_tar(lower, upper, options)

    async def changes(self, key: str) -> list[Change]:
        """As the protocol says."""
        below, now = self._pair(key)
        return await run_to_end(lambda: self._changes(below, now), self._threads)

    def _changes(self, below: Path, now: Path) -> list[Change]:
        with opened(below) as lower, opened(now) as upper:
            return list(difference_changes(lower, upper, self._options))

    async def usage(self, key: str) -> int:
        """As the protocol says."""
        below, now = self._pair(key)
        return await run_to_end(lambda: self._usage(below, now), self._threads)

    def _usage(self, below: Path, now: Path) -> int:
        with opened(below) as lower, opened(now) as upper:
            trees = Tree(lower, self._ownership), Tree(upper, self._ownership)
            try:
                return size_of(node for node in compared(*trees) if not isinstance(node, str))
            finally:
                for tree in trees:
                    tree.close()

    async def remove(self, key: str) -> None:
        """As the protocol says."""
        path = self._disk.existing(key)
        await run_to_end(lambda: self._disk.discard(path), self._threads)

    async def keys(self) -> list[str]:
        """As the protocol says."""
        return self._disk.keys()

    async def trees(self) -> list[Digest]:
        """As the protocol says."""
        return self._disk.trees()

    async def remove_tree(self, chain_id: Digest) -> None:
        """As the protocol says."""
        await run_to_end(lambda: self._disk.remove_tree(chain_id), self._threads)

    async def sweep(self, *, keep: Callable[[str], bool]) -> None:
        """As the protocol says."""
        for key in await self.keys():
            if not keep(key):
                await self.remove(key)
        await run_to_end(self._disk.sweep, self._threads)

    async def close(self) -> None:
        """As the protocol says."""
        await asyncio.to_thread(self._threads.shutdown)
        if self._flusher is not None:
            await asyncio.to_thread(self._flusher.close)


def copy_tree(source: Path, target: Path, ownership: Ownership, stop: Stop) -> None:
    """Copy everything that a layer can say, and times to the nanosecond, to an empty directory.

    Raises OSError, Stopped.
    """
    with opened(source) as source_fd:
        copy_directory(source_fd, target, ownership, stop)


def copy_directory(source: int, target: Path, ownership: Ownership, stop: Stop) -> None:
    """`copy_tree` from an open directory."""
    firsts: dict[tuple[int, int], str] = {}
    options = ApplyOptions(form=Form.MERGED, ownership=ownership)
    with opened(target) as target_fd:
        tree = Tree(source, ownership)
        try:
            with LayerApplier(target_fd, options) as applier:
                root = tree.node("")
                assert root is not None
                applier.add(_header(tree, root, firsts))
                for node in all_below(tree):
                    if stop.is_set():
                        raise Stopped
                    _copy(tree, node, applier, firsts)
                applier.finish()
        finally:
            tree.close()


def _copy(
    tree: Tree, node: Node, applier: LayerApplier, firsts: dict[tuple[int, int], str]
) -> None:
    if node.type not in TYPES_OF_FILES:
        return  # a socket: what listened there is gone
    header = _header(tree, node, firsts)
    content = tree.open(node.path) if header.type == EntryType.REGULAR else None
    try:
        applier.add(header, content)
    finally:
        if content is not None:
            os.close(content)
    if node.inode is not None:
        firsts.setdefault(node.inode, node.path)


def _header(tree: Tree, node: Node, firsts: dict[tuple[int, int], str]) -> TarHeader:
    first = firsts.get(node.inode) if node.inode is not None else None
    link = first or (tree.target(node.path) or "" if node.type == stat.S_IFLNK else "")
    xattrs = tree.xattrs(node.path)
    xattrs.pop(RECORD, None)
    return TarHeader(
        path=node.path,
        type=EntryType.HARD_LINK if first else TYPES_OF_FILES[node.type],
        size=node.size,
        link=link,
        mode=stat.S_IMODE(node.mode),
        uid=node.uid,
        gid=node.gid,
        mtime_ns=node.mtime_ns,
        user="",
        group="",
        major=node.major,
        minor=node.minor,
        xattrs=xattrs,
        sparse=False,
        start=0,
        offset=0,
        stored=0,
    )
