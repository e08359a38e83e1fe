"""Which files of a directory are sent as a build context. Pure."""

from dataclasses import dataclass
from typing import Final

from lamina.dockerfile.ignore import IgnorePatterns, read_patterns

IGNORE_FILE: Final = ".dockerignore"
DEFAULT_DOCKERFILE: Final = "Dockerfile"


@dataclass(frozen=True, slots=True)
class AddedDockerfile:
    """A Dockerfile from elsewhere, sent as `name` beside the directory's own files."""

    name: str
    text: bytes


@dataclass(frozen=True, slots=True)
class Selection:
    """The files to be sent: all but what `patterns` ignore."""

    patterns: IgnorePatterns

    @classmethod
    def of(cls, ignore: str, *, needed: tuple[str, ...]) -> "Selection":
        """Read the text of an ignore file; the engine needs some files whatever it says.

        Raises DockerfileError for a malformed pattern.
        """
        written = read_patterns(ignore)
        ignored = IgnorePatterns(written)
        kept = [f"!{path}" for path in needed if ignored.ignores(path)]
        return cls(IgnorePatterns([*written, *kept]) if kept else ignored)

    def sends(self, path: str) -> bool:
        """Whether the file or directory at `path` is sent."""
        return not self.patterns.ignores(path)

    def walks_into(self, directory: str) -> bool:
        """Whether anything below it may be sent."""
        return self.patterns.walks_into(directory)


def hiding(ignore: str | None, added: AddedDockerfile) -> bytes:
    """The ignore file to be sent beside a Dockerfile from elsewhere, which ``COPY .`` is to miss.

    `ignore` is the text of the directory's own, None if it has none: then the file hides itself.
    """
    own = IGNORE_FILE if ignore is None else ignore
    return f"{own}\n{added.name}\n".encode(errors="surrogateescape")
