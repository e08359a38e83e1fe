"""Which files the sources of a COPY or ADD mean."""

import hashlib
import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lamina.build.files import Files
from lamina.build.hashing import file_hash, joined_hash
from lamina.dockerfile.goglob import BadPattern, tokens
from lamina.dockerfile.gostrings import clean
from lamina.dockerfile.ignore import IgnorePatterns
from lamina.dockerfile.matching import Match, matcher
from lamina.errors import LaminaError
from lamina.layers.view import Found, LinkLoop

ReadOf = Callable[[Files, Found], Iterator[bytes]]
"""The content of a file of some files."""

_WILDCARD = re.compile(r"[*?\[\\]")


@dataclass(frozen=True, slots=True)
class Picked:
    """A file or directory to copy: where it truly is, and under which path it was asked for.

    `pivot` is the part of that path which ``--parents`` leaves away.
    """

    files: Files
    path: str
    asked: str
    found: Found
    pivot: str = ""
    is_remote: bool = False
    """It came from a URL, and is what it is: no archive to be unpacked."""

    @property
    def kept(self) -> str:
        """The part of the path that ``--parents`` keeps, empty if that is none."""
        steps = self.asked.split("/")
        # The pivot may be a pattern, but has as many steps as what it matches.
        return "/".join(steps[self.pivot.count("/") + 1 :] if self.pivot else steps)


@dataclass(frozen=True, slots=True)
class Exclusion:
    """What ``--exclude`` leaves out, by paths relative to what is copied.

    With ``--parents`` (`keeps_parents`) they are relative to what the copied path is kept from.
    """

    patterns: IgnorePatterns
    keeps_parents: bool

    @classmethod
    def of(cls, patterns: Sequence[str], *, keeps_parents: bool) -> "Exclusion":
        """Read the flags. Raises DockerfileError."""
        return cls(IgnorePatterns(patterns), keeps_parents)

    def leaves_out(self, one: Picked, relative: str = "") -> bool:
        """Whether a picked file, or what is at a path in a picked directory, is left out."""
        if self.keeps_parents:
            relative = posixpath.join(one.kept, relative)
        return self.patterns.ignores(relative or posixpath.basename(one.asked))


def pick(
    files: Files,
    sources: Sequence[str],
    command: str,
    exclusion: Exclusion | None = None,
    *,
    parents: bool = False,
) -> list[Picked]:
    """What the sources mean, in their order; a pattern may mean nothing, but not all of them.

    Of those the excluded files are left out. `parents`: a pattern may have a pivot.
    Raises LaminaError in dockerd's words; `command` is the instruction's name.
    """
    picked = [one for source in sources for one in _pick(files, source, command, parents=parents)]
    if not picked:
        raise LaminaError(f"{command} failed: no source files were specified")
    return [
        one
        for one in picked
        if exclusion is None or one.found.is_directory or not exclusion.leaves_out(one)
    ]


def pick_exactly(files: Files, path: str) -> Picked:
    """What is at a path, which is no pattern. Raises LaminaError."""
    return _found(files, clean("/" + path).lstrip("/"), path, "RUN", pivot="")


def whole(files: Files) -> Picked:
    """Everything there is."""
    found = files.view.get("")
    assert found is not None  # There always is a root.
    return Picked(files, "", "", found)


def _pick(files: Files, source: str, command: str, *, parents: bool) -> Iterator[Picked]:
    if not parents and _WILDCARD.search(source):
        for path in _matching(files, source.removeprefix("/").removeprefix("./")):
            yield _found(files, path, source, command, pivot="")
        return
    before, dot, after = source.partition("/./")
    pivot = clean("/" + before).lstrip("/") if dot else ""
    written = f"{before}/{after}" if dot else source
    cleaned = clean(written) if written else "."
    if cleaned == ".." or cleaned.startswith("../"):
        raise _forbidden(source, command)
    inside = clean("/" + written).lstrip("/")
    if _WILDCARD.search(inside):
        for path in _matching(files, inside):
            yield _found(files, path, source, command, pivot)
    else:
        yield _found(files, inside, source, command, pivot)


def _found(files: Files, asked: str, source: str, command: str, pivot: str) -> Picked:
    try:
        path = files.view.resolve(asked)
    except LinkLoop:
        raise _forbidden(source, command) from None
    found = files.view.get(path)
    if found is None and files.view.is_below_a_file(path):
        raise _forbidden(source, command)
    if found is None:
        where = "file not found in build context or excluded by .dockerignore: "
        raise LaminaError(
            f"{command} failed: {where if files.is_context else ''}"
            f"stat {source.removeprefix('/').removeprefix('./')}: file does not exist"
        )
    return Picked(files, path, asked, found, pivot)


def _forbidden(source: str, command: str) -> LaminaError:
    return LaminaError(f"{command} failed: forbidden path outside the build context: {source} ()")


def _matching(files: Files, pattern: str) -> list[str]:
    """The paths that a pattern matches; as in Go, no wildcard crosses a slash or a link.

    A broken pattern matches nothing, nor does one that is not as paths are, such as ``*/``.
    """
    paths = [""]
    for component in pattern.split("/"):
        if component in ("", ".", ".."):
            return []
        is_wanted = None
        if _WILDCARD.search(component) is not None:
            try:
                is_wanted = component_matcher(component)
            except BadPattern:
                return []
        paths = [
            posixpath.join(path, name)
            for path in paths
            for name in (files.view.names(path) if is_wanted is not None else [component])
            if is_wanted is None or is_wanted(name)
            if _is_there(files, path, name)
        ]
    return paths


def _is_there(files: Files, directory: str, name: str) -> bool:
    return files.view.get(posixpath.join(directory, name)) is not None


def component_matcher(pattern: str) -> Match:
    """What tells whether a name matches a pattern, neither with slashes, as `filepath.Match`.

    Raises BadPattern.
    """
    return matcher(tokens(pattern, globstar=False))


def hash_of(picked: Sequence[Picked], exclusion: Exclusion | None, read: ReadOf) -> str:
    """The hash by which the cache knows what is copied."""
    hashes = [_hash_of_one(one, exclusion, read) for one in picked]
    return hashes[0] if len(hashes) == 1 else joined_hash("multi", hashes)


def with_kept(digest: str, picked: Sequence[Picked]) -> str:
    """The hash of what is copied with ``--parents``: the same files may come to other places."""
    kept = "\0".join((digest, *(one.kept for one in picked)))
    kind = digest.partition(":")[0]
    return f"{kind}:{hashlib.sha256(kept.encode('utf-8', 'surrogateescape')).hexdigest()}"


def _hash_of_one(one: Picked, exclusion: Exclusion | None, read: ReadOf) -> str:
    def hashed(path: str, found: Found) -> str:
        known = one.files.hash_of(found)
        return known or file_hash(path, found, lambda entry: read(one.files, entry))

    if not one.found.is_directory:
        return f"file:{hashed(one.path, one.found)}"
    hashes = [hashed(one.path, one.found)] if one.path else []
    hashes += [hashed(path, found) for path, found, _ in below(one, exclusion)]
    return joined_hash("dir", sorted(hashes))


def below(one: Picked, exclusion: Exclusion | None) -> Iterator[tuple[str, Found, str]]:
    """What is in a picked directory: true path, entry, and path relative to the directory."""
    start = len(one.path) + 1 if one.path else 0
    for path, found in one.files.view.walk(one.path):
        relative = path[start:]
        if exclusion is None or not exclusion.leaves_out(one, relative):
            yield path, found, relative
