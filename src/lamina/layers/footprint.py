"""What a layer's entries add up to when they are unpacked, without unpacking them."""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from lamina.errors import InvalidLayer, LaminaError
from lamina.layers.tarheader import EntryType, TarHeader

__all__ = ["WHITEOUT_PREFIX", "Footprint", "FootprintLimits", "is_whiteout", "unpack_error"]

WHITEOUT_PREFIX: Final = ".wh."
"""What the last step of a path begins with that marks a removal (OCI image spec, layer.md)."""

_REGULAR: Final = int(EntryType.REGULAR)
_HARD_LINK: Final = int(EntryType.HARD_LINK)
_SYMLINK: Final = int(EntryType.SYMLINK)
_DIRECTORY: Final = int(EntryType.DIRECTORY)
_FIFO: Final = int(EntryType.FIFO)
_MAX_HOPS: Final = 40  # Linux follows as many symbolic links in one path
_MAX_STEPS: Final = 2_000_000  # in all paths of a layer: a second's work
_STEPS_AT_ONCE: Final = 8  # of a path that is put together, for the time of one


class FootprintLimits(msgspec.Struct, frozen=True):
    """How much a layer's entries may cost whoever remembers them."""

    entries: int = 2_000_000
    names: int = 256 << 20
    """Characters of all paths and link targets."""
    unpacked: int = 1 << 42
    """Bytes, sparse files counted with their holes."""


def unpack_error(why: str) -> InvalidLayer:
    """Return the error of a broken tar stream, in the words of a dockerd that unpacks it."""
    return InvalidLayer(f"Error processing tar file(exit status 1): {why}")


class _Inode:
    """Content that several paths share."""

    __slots__ = ("content",)

    def __init__(self, content: int | str | None) -> None:
        self.content = content


class Footprint:
    """The tree that a layer's entries make, as far as their sizes need it.

    `error` makes the exception out of the words that say what is wrong.

    `total` is what dockerd with overlay2 shows as the layer's size (checked against 20.10): the
    bytes of regular files, holes of sparse ones included, and the length of symbolic links'
    targets. Hard links count once. Directories, devices, FIFOs and whiteouts count nothing, and
    nor does an opaque marker; what has a whiteout *below* it or beside it in the same layer counts
    as if there were none. Of several entries of one path the last counts, and a directory replaced
    by anything else takes what is below it away; 20.10 could not be asked, it refuses any layer
    that has a path twice, and one that removes with a whiteout what it had before.

    Like a dockerd it refuses, with the same words: hard links to what the layer has not had before
    and types that are none. Unlike there, a path through a symbolic link of the same layer is
    another path than the direct one, so what stands under both counts twice.
    """

    def __init__(
        self,
        limits: FootprintLimits | None = None,
        *,
        error: Callable[[str], LaminaError] = InvalidLayer,
    ) -> None:
        self._error = error
        self._limits = limits or FootprintLimits()
        # A regular file's size, a link's target, None for the rest, or what hard links share.
        # Each path's size, link target, what it shares with hard links, or None: nothing to count.
        self._nodes: dict[str, int | str | _Inode | None] = {}
        self._entries = 0
        self._names = 0
        self._unpacked = 0
        # Directories that became something else, or the other way round. Their place in the order
        # of `_nodes` is that of the change.
        self._replaced: set[str] = set()
        self._steps = 0

    def add(self, header: TarHeader) -> None:
        """Take the next entry. Raises InvalidLayer if it breaks a rule or a limit."""
        path = header.path
        type = header.type
        limits = self._limits
        self._entries += 1
        self._names += len(path) + len(header.link)
        if self._entries > limits.entries or self._names > limits.names:
            raise self._error("layer has too many entries")
        node: int | str | _Inode | None = None
        if type == _REGULAR:
            node = header.size
            self._unpacked += node
            if self._unpacked > limits.unpacked:
                raise self._error(f"layer is larger than {limits.unpacked} bytes")
        elif type == _SYMLINK:
            node = header.link
        elif type == _HARD_LINK:
            node = self._shared(header)
        elif not _HARD_LINK < type <= _FIFO:
            raise self._error(f"unhandled tar header type {type}")
        if not path or (WHITEOUT_PREFIX in path and is_whiteout(path)):
            node = None
        nodes = self._nodes
        if path in nodes and (type == _DIRECTORY) != (nodes[path] is None):
            del nodes[path]
            self._replaced.add(path)
        nodes[path] = node

    @property
    def total(self) -> int:
        """Bytes, as the class says."""
        total = 0
        shared: set[_Inode] = set()
        paths = self._nodes.keys() if not self._replaced else self.paths
        for path in paths:
            node = self._nodes[path]
            if isinstance(node, int):
                total += node
            elif isinstance(node, str):
                total += _length(node)
            elif node is not None:
                shared.add(node)
        for inode in shared:
            content = inode.content
            total += _length(content) if isinstance(content, str) else content or 0
        return total

    @property
    def paths(self) -> set[str]:
        """The paths that are there when the last entry is unpacked."""
        if not self._replaced:
            return set(self._nodes)
        order = {path: place for place, path in enumerate(self._nodes)}
        changed = {path: order[path] for path in self._replaced}
        return {
            path
            for path, place in order.items()
            if not any(changed.get(above, -1) > place for above in _ancestors(path))
        }

    def target(self, link: str) -> str:
        """Return the path that a hard link to `link` leads to, past links among its directories."""
        return link if link in self._nodes else self._resolved(link)

    def _shared(self, header: TarHeader) -> _Inode:
        """Return what a hard link's target is, made ready for being shared."""
        target = self.target(header.link)
        if target == header.path or target not in self._nodes:
            raise self._error(f"link /{header.link} /{header.path}: no such file or directory")
        node = self._nodes[target]
        if not isinstance(node, _Inode):
            node = self._nodes[target] = _Inode(node)
        return node

    def _resolved(self, path: str) -> str:
        """Follow the symbolic links among the directories of a path, as the kernel would."""
        ahead = path.split("/")[::-1]
        done: list[str] = []
        hops = 0
        while ahead:
            self._steps += 1 + len(done) // _STEPS_AT_ONCE
            step = ahead.pop()
            if step == "..":
                del done[-1:]
            elif step not in {"", "."}:
                done.append(step)
                node = self._nodes.get("/".join(done)) if ahead else None
                target = node.content if isinstance(node, _Inode) else node
                if isinstance(target, str):
                    hops += 1
                    ahead += target.split("/")[::-1]
                    done = [] if target.startswith("/") else done[:-1]
            if hops > _MAX_HOPS or self._steps > _MAX_STEPS:
                raise self._error(f"link /{path}: too many levels of symbolic links")
        return "/".join(done)


def is_whiteout(path: str) -> bool:
    """Tell whether the path's last step says that something is removed, or is AUFS's own."""
    return path.startswith(WHITEOUT_PREFIX, path.rfind("/") + 1)


def _ancestors(path: str) -> Iterator[str]:
    at = path.find("/")
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)


def _length(target: str) -> int:
    """Return the bytes of a symbolic link."""
    return len(target) if target.isascii() else len(target.encode("utf-8", "surrogateescape"))
