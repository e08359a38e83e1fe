"""What has changed in a tree, path by path, as ``docker diff`` tells it."""

import stat
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Final

import msgspec

from lamina.layers.diff import DiffOptions, all_below, compared
from lamina.layers.tree import Node, Tree

__all__ = ["Change", "ChangeKind", "difference_changes", "lower_node", "upper_changes"]


class ChangeKind(IntEnum):
    """The Engine API's numbers."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


class Change(msgspec.Struct, frozen=True):
    """A path that is not as it was."""

    path: str
    """Absolute, as seen in the root filesystem."""
    kind: ChangeKind


_WHITEOUT: Final = (0, 0)


def is_overlay_whiteout(node: Node) -> bool:
    """Tell whether overlayfs takes the path for a removal."""
    return node.type == stat.S_IFCHR and (node.major, node.minor) == _WHITEOUT


def lower_node(lowers: Sequence[Tree], path: str, opaque: str) -> Node | None:
    """Return what lower directories of overlayfs, top first, show at a path together.

    `opaque` is the name of the attribute of directories that hide what is below them.
    """
    steps = path.split("/") if path else []
    for lower in lowers:
        hidden = False
        for depth in range(len(steps) + 1):
            at = "/".join(steps[:depth])
            node = lower.node(at)
            if node is None:
                break
            if is_overlay_whiteout(node):
                return None
            if depth == len(steps):
                return node
            if not node.is_directory:
                return None
            hidden = hidden or lower.xattr(at, opaque) is not None
        if hidden:
            return None
    return None


def upper_changes(
    upper: int, lowers: Sequence[int], options: DiffOptions | None = None
) -> Iterator[Change]:
    """What an overlay's upper directory changes of its lower ones (top first), by descriptors."""
    options = options or DiffOptions()
    opaque = f"{options.overlay_xattrs}opaque"
    trees = [Tree(fd, options.ownership) for fd in (upper, *lowers)]
    try:
        for node in all_below(trees[0]):
            if is_overlay_whiteout(node):
                kind = ChangeKind.DELETED
            elif lower_node(trees[1:], node.path, opaque) is None:
                kind = ChangeKind.ADDED
            else:
                kind = ChangeKind.MODIFIED
            yield Change(f"/{node.path}", kind)
    finally:
        for tree in trees:
            tree.close()


def difference_changes(
    lower: int, upper: int, options: DiffOptions | None = None
) -> Iterator[Change]:
    """What makes the tree open as `upper` out of the one open as `lower`; see `difference_tar`."""
    options = options or DiffOptions()
    old, new = Tree(lower, options.ownership), Tree(upper, options.ownership)
    try:
        for found in compared(old, new):
            if isinstance(found, str):
                yield Change(f"/{found}", ChangeKind.DELETED)
            elif old.node(found.path) is None:
                yield Change(f"/{found.path}", ChangeKind.ADDED)
            else:
                yield Change(f"/{found.path}", ChangeKind.MODIFIED)
    finally:
        old.close()
        new.close()
