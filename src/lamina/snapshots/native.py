"""Snapshots by copying, where no overlay is to be had: slow and large, and works everywhere."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
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
from lamina.snapshots.disk import opened
from lamina.snapshots.flushing import PATIENCE
from lamina.snapshots.on_disk import SnapshotsOnDisk
from lamina.snapshots.stopping import Stop, Stopped, until_stopped
from lamina.snapshots.store import LayerSource, Mounted

__all__ = ["NativeSnapshots", "copy_directory", "copy_tree"]


class NativeSnapshots(SnapshotsOnDisk):
    """`Snapshots` as plain directories: each tree is the whole of its chain, each snapshot a copy.

    Only the tree of a whole image is kept, made of the nearest one below it that is there. Who is
    not root keeps owners and devices in records (`lamina.layers.ownership`).
    """

    driver: Final = "native"

    def __init__(
        self, root: Path, *, patience: float | None = PATIENCE, ownership: Ownership | None = None
    ) -> None:
        super().__init__(root, workers=4, patience=patience)
        if ownership is None:
            ownership = Ownership.SET if os.geteuid() == 0 else Ownership.RECORDED
        self._ownership = ownership
        self._options = DiffOptions(ownership=ownership)

    @property
    def details(self) -> Mapping[str, str]:
        """As the protocol says."""
        return {"Ownership": self._ownership.value}

    def command(self, argv: Sequence[str]) -> list[str]:
        """As the protocol says: there are no mounts."""
        return list(argv)

    async def _unpack(self, layers: Sequence[LayerSource], chain: Sequence[Digest]) -> None:
        """Make the tree of a whole image, one layer after the other."""
        stop = Stop()
        await run_to_end(lambda: self._merge(layers, chain, stop), self._threads, stop=stop.set)

    def _merge(self, layers: Sequence[LayerSource], chain: Sequence[Digest], stop: Stop) -> None:
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
            _make(target)
            if there:
                self._copy_below(chain[there - 1], target, stop)
            for layer in layers[there:]:
                with layer.open() as chunks:
                    apply_layer(until_stopped(chunks, stop), target, options)
            self._made(path, chain[-1])

    def _create(self, key: str, chain: Sequence[Digest], stop: Stop) -> None:
        with self._disk.staged() as path:
            target = path / "merged"
            _make(target)
            self._copy_below(chain[-1] if chain else None, target, stop)
            self._disk.publish_snapshot(path, key, chain[-1:])

    def _copy_below(self, top: Digest | None, target: Path, stop: Stop) -> None:
        with self._disk.reading([top] if top else []):
            copy_tree(self._below(top), target, self._ownership, stop)

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

    def _release(self, path: Path) -> None:
        """Nothing keeps it."""

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


def _make(directory: Path) -> None:
    directory.mkdir()
    directory.chmod(0o755)


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
