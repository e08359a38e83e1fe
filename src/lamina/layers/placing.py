"""Where the files of an archive come to lie when it is unpacked into an empty directory.

A layer's paths are taken as they are written. Of other archives a dockerd makes files as any
program would: links among a file's directories are followed, inside of the archive.
"""

from collections.abc import Callable, MutableMapping
from typing import Final, Generic, Protocol, TypeVar

from lamina.errors import LaminaError
from lamina.layers.implied import ImpliedDirectories
from lamina.layers.tarheader import EntryType

__all__ = ["Placing"]

_MAX_NAME: Final = 255  # bytes, on every file system of Linux
_MAX_LINKS: Final = 40  # Linux follows as many symbolic links in one path
_MAX_STEPS: Final = 50_000_000
_STEPS_AT_ONCE: Final = 8  # of a path that is put together, for the time of one
_WIDEST: Final = 4  # bytes of a character


class Placed(Protocol):
    """An entry, as far as it matters here."""

    @property
    def type(self) -> EntryType: ...

    @property
    def link(self) -> str:
        """A symbolic link's target as written."""


P = TypeVar("P", bound=Placed)


class Placing(Generic[P]):
    """Places one entry after another among `entries`, which are those before it, by path.

    `error` makes the exception out of the words that say what is wrong.
    """

    def __init__(
        self, entries: MutableMapping[str, P], *, error: Callable[[str], LaminaError]
    ) -> None:
        self._entries = entries
        self._error = error
        self._directories = {""}
        self._implied = ImpliedDirectories(error)
        self._steps = 0

    def place(self, path: str, *, is_directory: bool) -> str:
        """The path under which the next entry is found. Raises the error if it cannot be made."""
        if len(path) > _MAX_NAME // _WIDEST:
            self._check_names(path)
        above, _, name = path.rpartition("/")
        if above not in self._directories:
            above = self._directory(above, path)
            path = f"{above}/{name}" if above else name
        if is_directory:
            self._directories.add(path)
        elif path in self._directories:
            self._forget(path)
        return path

    def _check_names(self, path: str) -> None:
        names = path.encode("utf-8", "surrogateescape").split(b"/")
        if max(map(len, names)) > _MAX_NAME:
            raise self._error(f"open /{path}: file name too long")

    def _directory(self, above: str, path: str) -> str:
        """The true path of a directory; one that no entry has named is made."""
        waiting = [(step, False) for step in reversed(above.split("/"))]
        done: list[str] = []
        links = 0
        while waiting:
            self._count(1 + len(done) // _STEPS_AT_ONCE)
            step, is_of_link = waiting.pop()
            if step in {"", "."}:
                continue
            if step == "..":
                del done[-1:]
                continue
            here = "/".join((*done, step))
            entry = self._entries.get(here)
            if here in self._directories:
                done.append(step)
            elif entry is None:
                if is_of_link:
                    raise self._error(f"open /{path}: no such file or directory")
                self._implied.add(here)
                self._directories.add(here)
                done.append(step)
            elif entry.type is EntryType.SYMLINK:
                links += 1
                if links > _MAX_LINKS:
                    raise self._error(f"open /{path}: too many levels of symbolic links")
                waiting += [(part, True) for part in reversed(entry.link.split("/"))]
                done = [] if entry.link.startswith("/") else done
            else:
                raise self._error(f"open /{path}: not a directory")
        return "/".join(done)

    def _forget(self, path: str) -> None:
        """Something else takes the place of a directory, and all in it is gone."""
        self._count(len(self._entries) + len(self._directories))
        prefix = f"{path}/"
        for one in [one for one in self._entries if one.startswith(prefix)]:
            del self._entries[one]
        self._directories = {
            one for one in self._directories if one != path and not one.startswith(prefix)
        }

    def _count(self, steps: int) -> None:
        self._steps += steps
        if self._steps > _MAX_STEPS:
            raise self._error("the archive is too complicated")
