"""``.dockerignore``: which files of a context do not take part in a build.

The rules are those of moby's ``patternmatcher``: a pattern is a `filepath.Match` pattern over the
whole path, in which ``**`` stands for any number of directories; a pattern that matches a directory
matches all below it; ``!`` takes files back; the last pattern that matches decides.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lamina.dockerfile.goglob import GLOBSTAR, LITERAL, tokens
from lamina.dockerfile.gostrings import SPACES, clean
from lamina.dockerfile.matching import Match, matcher
from lamina.dockerfile.source import DockerfileError

MAX_IGNORE_SIZE: Final = 1 << 20
"""Bytes; whoever reads a .dockerignore reads no more than this."""

_KEPT: Final = 16 << 20
"""Bytes of results for directories that are kept."""


def read_patterns(text: str) -> tuple[str, ...]:
    """The patterns of an ignore file: no comments, no empty lines, relative to the context."""
    patterns = []
    for line in text.removeprefix("\ufeff").split("\n"):
        if line.startswith("#"):
            continue
        pattern = line.strip(SPACES)
        if not pattern:
            continue
        inverted = pattern.startswith("!")
        if inverted:
            pattern = pattern[1:].strip(SPACES)
        if pattern:
            pattern = clean(pattern)
            if len(pattern) > 1:
                pattern = pattern.removeprefix("/")
        patterns.append("!" * inverted + pattern)
    return tuple(patterns)


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern; an `exception` (``!``) takes back what earlier ones matched."""

    text: str
    exception: bool
    matches: Match

    @classmethod
    def parse(cls, text: str) -> "Pattern":
        """Compile a pattern; raises DockerfileError if it is malformed."""
        text = clean(text.strip(SPACES))
        exception = text.startswith("!")
        if text == "!":
            raise DockerfileError('illegal exclusion pattern: "!"')
        bare = text.removeprefix("!")
        return cls(bare, exception, _compile(bare))


class IgnorePatterns:
    """A list of patterns, ready to match paths of a context.

    Paths are relative, with slashes and without a slash at either end. The results for some
    directories are kept, so that matching a tree costs about one comparison per file and pattern.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self.patterns = tuple(
            Pattern.parse(pattern) for pattern in patterns if pattern.strip(SPACES)
        )
        self.has_exceptions = any(pattern.exception for pattern in self.patterns)
        self._directories: dict[str, bytes] = {}
        self._most = _KEPT // (len(self.patterns) + 1) + 1

    @classmethod
    def parse(cls, text: str) -> "IgnorePatterns":
        """Read an ignore file; raises DockerfileError for a malformed pattern."""
        return cls(read_patterns(text))

    def ignores(self, path: str) -> bool:
        """Whether the file or directory at `path` is to be left out."""
        if path in ("", "."):
            return False
        directory = path.rpartition("/")[0]
        return self._matched(self._hits(path, self._directory_hits(directory)))

    def walks_into(self, directory: str) -> bool:
        """Whether anything below `directory` may be in the context.

        As `docker build` walks: below an ignored directory it looks only if an exception names
        something there by its beginning; exceptions with wildcards before that do not count.
        """
        if not self.ignores(directory):
            return True
        below = directory + "/"
        return any(
            pattern.exception and (pattern.text + "/").startswith(below)
            for pattern in self.patterns
        )

    def _matched(self, hits: bytes) -> bool:
        matched = False
        for pattern, hit in zip(self.patterns, hits, strict=True):
            if hit:
                matched = not pattern.exception
        return matched

    def _hits(self, path: str, above: bytes) -> bytes:
        """Which patterns hit the path or a directory above it, which those of `above` do."""
        hits = bytearray()
        matched = False
        for pattern, inherited in zip(self.patterns, above, strict=True):
            # A pattern that would change nothing is not tried, and so is not inherited.
            hit = inherited or (pattern.exception == matched and pattern.matches(path))
            if hit:
                matched = not pattern.exception
            hits.append(hit)
        return bytes(hits)

    def _directory_hits(self, directory: str) -> bytes:
        missing = []
        current = directory
        while current and current not in self._directories:
            missing.append(current)
            current = current.rpartition("/")[0]
        hits = self._directories[current] if current else bytes(len(self.patterns))
        for path in reversed(missing):
            hits = self._hits(path, hits)
            if len(self._directories) >= self._most:
                self._directories.clear()
            self._directories[path] = hits
        return hits


def _compile(pattern: str) -> Match:
    parsed = tokens(pattern)
    kinds = [token.kind for token in parsed]
    globstars = kinds.count(GLOBSTAR)
    if not set(kinds) - {LITERAL, GLOBSTAR} and "\\" not in pattern:
        if not globstars:
            return pattern.__eq__
        if globstars == 1 and pattern.endswith("**") and pattern != "**":
            return _prefix(pattern[:-2])
        if globstars == 1 and pattern.startswith("**"):
            return _suffix(pattern[2:])
    return matcher(parsed)


def _prefix(prefix: str) -> Match:
    return lambda path: path.startswith(prefix)


def _suffix(suffix: str) -> Match:
    bare = suffix.removeprefix("/")
    return lambda path: path.endswith(suffix) or (bare != suffix and path == bare)
