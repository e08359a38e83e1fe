"""What an image archive holds, by path: found by `archive_intake`, read by the formats."""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lamina.errors import CorruptData, InvalidArchive
from lamina.transfer.layer_intake import StoredLayer

_MAX_LINKS: Final = 16


@dataclass(frozen=True, slots=True)
class Document:
    """A member that is JSON, whole."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """A member that stands for another one; `target` is that one's path in the archive."""

    target: str


@dataclass(frozen=True, slots=True)
class NoLayer:
    """A member that is no layer, and why; `is_stored` tells if it is a blob all the same."""

    error: CorruptData
    is_stored: bool = False


Member = Document | Link | NoLayer | StoredLayer


@dataclass(frozen=True, slots=True)
class Members:
    """The members of an archive by their path, which is relative to its root."""

    by_path: Mapping[str, Member]

    def resolve(self, path: str) -> Document | NoLayer | StoredLayer | None:
        """The member at `path`, links followed; None if there is none. Raises InvalidArchive."""
        current = path
        for _ in range(_MAX_LINKS):
            # Nothing leads out of the root: that is where `..` ends and where `/` begins.
            member = self.by_path.get(posixpath.normpath(f"/{current}").lstrip("/"))
            if not isinstance(member, Link):
                return member
            current = member.target
        raise InvalidArchive(f"open {path}: too many levels of symbolic links")

    def document(self, path: str) -> bytes | None:
        """The JSON member at `path`. Raises InvalidArchive if something else is there."""
        member = self.resolve(path)
        if member is None:
            return None
        if not isinstance(member, Document):
            raise InvalidArchive(f"{path} is not a JSON document")
        return member.raw

    def layer(self, path: str) -> StoredLayer:
        """The layer at `path`. Raises InvalidArchive, or the CorruptData that makes it none."""
        member = self.resolve(path)
        if member is None:
            raise InvalidArchive(f"open {path}: no such file or directory")
        if isinstance(member, NoLayer):
            raise member.error
        if isinstance(member, Document):
            raise InvalidArchive(f"{path} is not a layer")
        return member
