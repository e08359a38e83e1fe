"""What has changed in a tree, as a layer: the same tree always gives the same bytes.

Entries are sorted, each directory before what is in it; times are whole seconds (as dockerd writes
them: fractions would cost a record each), with neither access nor change times; users and groups
have numbers only; of the extended attributes ``security.capability`` alone is kept, as by dockerd;
paths of one file are hard links to the first of them; removals are whiteouts in OCI form. Sockets
are left out, since no tar can say them, and so are files whose names begin with ``.wh.``, which
would remove others where the layer is unpacked.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from lamina.layers.footprint import WHITEOUT_PREFIX
from lamina.layers.index import OPAQUE_MARKER
from lamina.layers.ownership import Ownership
from lamina.layers.tarheader import NO_XATTRS, TYPES_OF_FILES, EntryType
from lamina.layers.tarstream import MAX_PATH
from lamina.layers.tarwriter import END, header_bytes, padding
from lamina.layers.tree import Node, Tree

__all__ = [
    "DiffOptions",
    "all_below",
    "compared",
    "difference_tar",
    "size_of",
    "subtree_tar",
    "upper_tar",
]

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffOptions:
    """How a tree is read."""

    ownership: Ownership = Ownership.SET
    overlay_xattrs: str = "trusted.overlay."
    """Prefix of overlayfs's attributes, as in `ApplyOptions`."""
    owner: Callable[[int, int], tuple[int, int]] | None = None
    """Maps the owner and group found on disk to those the layer shall have."""
    latest_ns: int | None = None
    """Later times are taken for this one, in unix nanoseconds."""
    type_bits: bool = False
    """Whether modes say what kind of file it is, too, as those of dockerd's archives do."""


def upper_tar(upper: int, options: DiffOptions | None = None) -> Iterator[bytes]:
    """The layer that an overlay's upper directory, open as `upper`, makes over the lower ones.

    Comes in pieces of at most a MiB. Raises OSError, also for a path longer than Linux can open.
    """
    options = options or DiffOptions()
    tree = Tree(upper, options.ownership)
    try:
        writer = _Writer(tree, options)
        for node in all_below(tree):
            if node.type == stat.S_IFCHR and node.major == node.minor == 0:
                yield writer.whiteout(node.path, node.mtime_ns)
                continue
            yield from writer.entry(node)
            if node.is_directory and tree.xattr(node.path, f"{options.overlay_xattrs}opaque") in {
                b"y",
                b"Y",
            }:
                yield writer.marker(f"{node.path}/{OPAQUE_MARKER}", node.mtime_ns)
        yield END
    finally:
        tree.close()


def difference_tar(lower: int, upper: int, options: DiffOptions | None = None) -> Iterator[bytes]:
    """The layer that makes the tree open as `upper` out of the one open as `lower`.

    A file counts as the same if its type, owner, mode, size, time, device, link target and
    capability are; its content is not compared. A directory that is there only for what has changed
    below it comes along, so that its time can be kept.
    """
    options = options or DiffOptions()
    old, new = Tree(lower, options.ownership), Tree(upper, options.ownership)
    try:
        writer = _Writer(new, options)
        for found in compared(old, new):
            if isinstance(found, str):
                yield writer.whiteout(found, 0)
            else:
                yield from writer.entry(found)
        yield END
    finally:
        old.close()
        new.close()


def subtree_tar(
    tree: Tree, path: str, name: str, options: DiffOptions | None = None
) -> Iterator[bytes]:
    """An archive of what is at `path` in a tree and all below, under another `name`.

    Of the whole tree, with both empty, what is in it.
    """

    def renamed(at: str) -> str:
        return f"{name}{at[len(path) :]}" if path else f"{name}/{at}".lstrip("/")

    writer = _Writer(tree, options or DiffOptions(), renamed=renamed)
    top = tree.node(path)
    if top is not None and name:
        yield from writer.entry(top, name=name)
    if top is not None and top.is_directory:
        for node in all_below(tree, path, names=Tree.names):
            yield from writer.entry(node)
    yield END


def all_below(
    tree: Tree, path: str = "", *, names: Callable[[Tree, str], list[str]] | None = None
) -> Iterator[Node]:
    """Yield all that can be in a layer, sorted, each directory before what is in it.

    `names` gives those of a directory, where whiteouts are files like others.
    """
    ahead = [_children(tree, path, names or _names)]
    while ahead:
        node = next(ahead[-1], None)
        if node is None:
            ahead.pop()
            continue
        yield node
        if node.is_directory:
            ahead.append(_children(tree, node.path, names or _names))


def size_of(nodes: Iterable[Node]) -> int:
    """The bytes of regular files, each counted once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for node in nodes:
        if node.type != stat.S_IFREG or node.inode in seen:
            continue
        if node.inode is not None:
            seen.add(node.inode)
        total += node.size
    return total


def _names(tree: Tree, path: str) -> list[str]:
    return [name for name in tree.names(path) if not name.startswith(WHITEOUT_PREFIX)]


def _children(tree: Tree, path: str, names: Callable[[Tree, str], list[str]]) -> Iterator[Node]:
    for name in names(tree, path):
        node = tree.node(f"{path}/{name}" if path else name)
        if node is not None:
            yield node


def compared(old: Tree, new: Tree) -> Iterator[Node | str]:
    """Yield what is new or other in a tree, sorted; for what is gone its path only.

    Directories in which something is come before it, changed themselves or not.
    """
    # Directories on the way to here that nothing has been said of yet.
    unsaid: list[Node] = []
    for found, same in _pairs(old, new):
        path = found if isinstance(found, str) else found.path
        while unsaid and not path.startswith(f"{unsaid[-1].path}/"):
            unsaid.pop()
        if same:
            assert isinstance(found, Node)
            unsaid.append(found)
            continue
        yield from unsaid
        unsaid.clear()
        yield found


def _pairs(old: Tree, new: Tree) -> Iterator[tuple[Node | str, bool]]:
    """Yield what `compared` does and all other directories, and whether they are as they were."""
    ahead = [_changed_children(old, new, "")]
    while ahead:
        found, same = next(ahead[-1], (None, False))
        if found is None:
            ahead.pop()
            continue
        yield found, same
        if isinstance(found, Node) and found.is_directory:
            ahead.append(_changed_children(old, new, found.path))


def _changed_children(old: Tree, new: Tree, path: str) -> Iterator[tuple[Node | str, bool]]:
    before = set(_names(old, path))
    now = _names(new, path)
    gone = before.difference(now)
    for name in sorted(gone.union(now), key=os.fsencode):
        below = f"{path}/{name}" if path else name
        if name in gone:
            yield below, False
            continue
        node = new.node(below)
        if node is None:
            continue
        there = old.node(below) if name in before else None
        same = there is not None and _same(old, there, new, node)
        if node.is_directory or not same:
            yield node, same


def _same(old: Tree, before: Node, new: Tree, now: Node) -> bool:
    if (before.mode, before.uid, before.gid) != (now.mode, now.uid, now.gid):
        return False
    if now.is_directory:
        return True
    if now.type == stat.S_IFLNK:
        return old.target(now.path) == new.target(now.path)
    return (before.size, before.mtime_ns, before.major, before.minor) == (
        now.size,
        now.mtime_ns,
        now.major,
        now.minor,
    ) and (now.type != stat.S_IFREG or old.capability(now.path) == new.capability(now.path))


class _Writer:
    """Turns nodes into entries."""

    def __init__(
        self, tree: Tree, options: DiffOptions, *, renamed: Callable[[str], str] = str
    ) -> None:
        self._tree = tree
        self._renamed = renamed
        self._owner = options.owner
        self._latest_ns = options.latest_ns
        self._type_bits = options.type_bits
        # The first path of each file that has several.
        self._first: dict[tuple[int, int], str] = {}
        self._name = ""

    def whiteout(self, path: str, mtime_ns: int) -> bytes:
        above, _, name = path.rpartition("/")
        marker = f"{WHITEOUT_PREFIX}{name}"
        return self.marker(f"{above}/{marker}" if above else marker, mtime_ns)

    def marker(self, path: str, mtime_ns: int) -> bytes:
        return header_bytes(path, mode=0o600, mtime_ns=self._time(mtime_ns))

    def entry(self, node: Node, *, name: str = "") -> Iterator[bytes]:
        """Yield the header and the data of a path; nothing if it cannot be in a layer."""
        path = node.path
        self._name = name or self._renamed(path)
        if len(path) > MAX_PATH:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path[:255])
        type = TYPES_OF_FILES.get(node.type)
        if type is None:
            return
        first = self._first.get(node.inode) if node.inode is not None else None
        if first is not None:
            yield self._header(node, EntryType.HARD_LINK, link=first)
            return
        if type is EntryType.REGULAR:
            fd = self._tree.open(path)
            if fd is None:
                return
            try:
                yield from self._file(node, fd)
            finally:
                os.close(fd)
        elif type is EntryType.SYMLINK:
            target = self._tree.target(path)
            if target is None:
                return
            yield self._header(node, type, link=target)
        else:
            yield self._header(node, type)
        if node.inode is not None:
            self._first[node.inode] = self._name

    def _file(self, node: Node, fd: int) -> Iterator[bytes]:
        # The header has to say a size before the data comes: what is written meanwhile is cut, or
        # made up with zeros.
        left = size = os.fstat(fd).st_size
        yield self._header(node, EntryType.REGULAR, size=size)
        while left:
            piece = os.read(fd, min(left, _CHUNK)) or bytes(min(left, _CHUNK))
            left -= len(piece)
            yield piece
        if size % 512:
            yield padding(size)

    def _header(self, node: Node, type: EntryType, *, size: int = 0, link: str = "") -> bytes:
        uid, gid = node.uid, node.gid
        if self._owner is not None:
            uid, gid = self._owner(uid, gid)
        device = type in {EntryType.CHARACTER_DEVICE, EntryType.BLOCK_DEVICE}
        capability = None
        if type is EntryType.REGULAR:
            capability = self._tree.capability(node.path)
        return header_bytes(
            self._name,
            type=type,
            size=size,
            mode=node.mode if self._type_bits else stat.S_IMODE(node.mode),
            mtime_ns=self._time(node.mtime_ns),
            uid=uid,
            gid=gid,
            link=link,
            major=node.major if device else 0,
            minor=node.minor if device else 0,
            xattrs=NO_XATTRS if capability is None else {"security.capability": capability},
        )

    def _time(self, mtime_ns: int) -> int:
        if self._latest_ns is not None:
            mtime_ns = min(mtime_ns, self._latest_ns)
        return mtime_ns // 1_000_000_000 * 1_000_000_000
