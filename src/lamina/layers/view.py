"""What a stack of layers looks like from inside: one tree, read out of the layers' indexes.

Nothing is merged beforehand: a path is looked up from the top layer down, until a layer has it or
hides what is below. So a few look-ups in a large image cost no more than that.
"""

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lamina.errors import InvalidParameter
from lamina.layers.index import IndexEntry, LayerIndex
from lamina.layers.tarheader import NO_XATTRS, EntryType

__all__ = ["MAX_LINKS", "FileView", "Found", "LinkLoop"]

MAX_LINKS: Final = 255
"""Symbolic links on the way to one file."""


class LinkLoop(InvalidParameter):
    """Symbolic links lead to each other, or there are too many of them."""


@dataclass(frozen=True, slots=True)
class Found:
    """A path's entry and the place of its layer in the stack; an implied directory's is made up."""

    entry: IndexEntry
    layer: int
    is_implied: bool = False

    @property
    def is_directory(self) -> bool:
        """Whether there may be something below it."""
        return self.entry.type is EntryType.DIRECTORY


class FileView:
    """The files of layers, base first. Paths are relative, ``usr/bin``; the root is empty text."""

    def __init__(self, indexes: Sequence[LayerIndex]) -> None:
        self._indexes = tuple(indexes)
        self._hidden: dict[tuple[int, str], bool] = {}

    def get(self, path: str) -> Found | None:
        """What is at a path itself, be it a link; None if nothing is."""
        implied: Found | None = None
        for layer in range(len(self._indexes) - 1, -1, -1):
            index = self._indexes[layer]
            entry = index.get(path)
            if entry is not None:
                # A directory that a higher layer only implies has the attributes of a lower one.
                is_directory = entry.type is EntryType.DIRECTORY
                return implied if implied is not None and not is_directory else Found(entry, layer)
            if implied is None and index.children(path):
                implied = Found(_implied(path), layer, is_implied=True)
            if path in index.whiteouts or self._hides_below(layer, posixpath.dirname(path)):
                break
        if implied is None and not path:
            return Found(_implied(""), 0, is_implied=True)
        return implied

    def is_below_a_file(self, path: str) -> bool:
        """Whether something that is no directory stands among the directories of a true path."""
        above = posixpath.dirname(path)
        while above:
            found = self.get(above)
            if found is not None:
                return not found.is_directory
            above = posixpath.dirname(above)
        return False

    def names(self, path: str) -> list[str]:
        """The names in a directory, sorted; none if it is no directory."""
        found = self.get(path)
        if found is None or not found.is_directory:
            return []
        names: set[str] = set()
        gone: set[str] = set()
        for layer in range(len(self._indexes) - 1, -1, -1):
            index = self._indexes[layer]
            names.update(set(index.children(path)) - gone)
            gone.update(index.whiteouts)
            if self._hides_below(layer, path):
                break
        return sorted(child.rpartition("/")[2] for child in names)

    def walk(self, path: str) -> Iterator[tuple[str, Found]]:
        """All that is below a directory, sorted, each directory before what is in it."""
        waiting = [iter(self._below(path))]
        while waiting:
            child = next(waiting[-1], None)
            if child is None:
                waiting.pop()
                continue
            found = self.get(child)
            if found is None:
                continue
            yield child, found
            if found.is_directory:
                waiting.append(iter(self._below(child)))

    def resolve(self, path: str, *, follow_last: bool = True) -> str:
        """The true path of `path`, as if the view were the root: no link leads out of it.

        What is not there is taken as it stands. Raises LinkLoop.
        """
        waiting = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        true: list[str] = []
        links = 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                del true[-1:]
                continue
            here = "/".join((*true, part))
            found = self.get(here)
            is_link = found is not None and found.entry.type is EntryType.SYMLINK
            if found is None or not is_link or not (waiting or follow_last):
                true.append(part)
                continue
            links += 1
            if links > MAX_LINKS:
                raise LinkLoop(f"{path}: too many levels of symbolic links")
            target = found.entry.link
            if target.startswith("/"):
                true = []
            waiting += [step for step in reversed(target.split("/")) if step not in ("", ".")]
        return "/".join(true)

    def _below(self, path: str) -> list[str]:
        prefix = f"{path}/" if path else ""
        return [prefix + name for name in self.names(path)]

    def _hides_below(self, layer: int, directory: str) -> bool:
        """Whether nothing of lower layers is to be seen in a directory because of this layer."""
        index = self._indexes[layer]
        passed = []
        hidden = False
        while not hidden:
            known = self._hidden.get((layer, directory))
            if known is not None:
                hidden = known
                break
            passed.append(directory)
            entry = index.get(directory)
            hidden = (
                directory in index.opaques
                or directory in index.whiteouts
                or (entry is not None and entry.type is not EntryType.DIRECTORY)
            )
            if not directory:
                break
            directory = posixpath.dirname(directory)
        for one in passed:
            self._hidden[layer, one] = hidden
        return hidden


def _implied(path: str) -> IndexEntry:
    """A directory that no layer has an entry for."""
    return IndexEntry(
        path=path,
        type=EntryType.DIRECTORY,
        mode=0o755,
        uid=0,
        gid=0,
        size=0,
        mtime_ns=0,
        link="",
        offset=0,
        stored=0,
        sparse=False,
        major=0,
        minor=0,
        xattrs=NO_XATTRS,
    )
