"""What a COPY, ADD or WORKDIR adds to an image: the entries of the layer, before it is written."""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from stat import S_ISGID, S_ISUID, S_IXGRP

from lamina.build.files import Files
from lamina.build.modes import Chmod
from lamina.build.owners import Owner
from lamina.build.picking import Exclusion, Picked, below
from lamina.errors import InvalidParameter, LaminaError
from lamina.layers.footprint import WHITEOUT_PREFIX
from lamina.layers.index import IndexEntry, LayerIndex
from lamina.layers.tarheader import NO_XATTRS, EntryType
from lamina.layers.view import FileView, Found, LinkLoop


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """One entry: its content is `data`, or that of `found` in `files`."""

    type: EntryType
    mode: int
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    size: int = 0
    link: str = ""
    major: int = 0
    minor: int = 0
    xattrs: Mapping[str, bytes] = field(default_factory=lambda: NO_XATTRS)
    files: Files | None = None
    found: Found | None = None
    data: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRules:
    """How what is copied is changed. `owner` None keeps owners as they are."""

    owner: Owner | None = (0, 0)
    chmod: Chmod | None = None
    exclusion: Exclusion | None = None
    parents: bool = False

    def owner_of(self, uid: int, gid: int) -> tuple[int, int]:
        """Whose something is that belonged to these."""
        new_uid, new_gid = self.owner or (None, None)
        return uid if new_uid is None else new_uid, gid if new_gid is None else new_gid


class Additions:
    """Collects entries by path, with the directories they need.

    `base` is what they come on top of; `now` is the time of directories that are made or changed,
    in unix nanoseconds; no time is later than `latest`.
    """

    def __init__(self, base: FileView, *, now: int, latest: int | None = None) -> None:
        self._base = base
        self._now = now
        self._latest = latest
        self._entries: dict[str, Addition] = {}
        self._below: dict[str, set[str]] = {}
        """The paths in each directory."""

    def __iter__(self) -> Iterator[tuple[str, Addition]]:
        """The entries by path, sorted, each directory before what is in it."""
        return iter(sorted(self._entries.items()))

    def __len__(self) -> int:
        return len(self._entries)

    def destination(self, path: str, working_dir: str) -> tuple[str, bool]:
        """Where a destination truly is, and whether it is a directory or means one."""
        joined = posixpath.join("/", working_dir, path)
        check_path(joined)
        means_directory = path.endswith("/") or path in {"", ".", ".."}
        try:
            true = self._base.resolve(joined)
        except LinkLoop as error:
            raise LaminaError(
                f"failed to copy files: evalSymlinksInScope: too many links in {joined}"
            ) from error
        there = self._entries.get(true)
        found = self._base.get(true)
        is_directory = there is not None and there.type is EntryType.DIRECTORY
        is_directory |= found is not None and found.is_directory
        return true, means_directory or is_directory

    def copy(self, one: Picked, destination: str, rules: CopyRules, *, into: bool) -> None:
        """Copy a file, or what is in a directory; `into` puts a file into the destination.

        Raises LaminaError for a directory in the place of something else.
        """
        target = destination
        if rules.parents:
            kept = one.kept if one.found.is_directory else posixpath.dirname(one.kept)
            target = posixpath.join(destination, kept).rstrip("/")
            into = True
        if self._base.is_below_a_file(target):
            asking = "failed to query destination path: " if one.found.is_directory else ""
            raise LaminaError(f"failed to copy files: {asking}lstat /{target}: not a directory")
        if one.found.is_directory:
            self._copy_directory(one, target, rules)
            return
        if into:
            target = posixpath.join(target, posixpath.basename(one.asked))
        self.directory(posixpath.dirname(target), rules)
        self._put(target, self._file(one.files, one.found, rules))

    def write(self, path: str, data: bytes, rules: CopyRules) -> None:
        """Add a file with a content of its own."""
        self.directory(posixpath.dirname(path), rules)
        mode = 0o644 if rules.chmod is None else rules.chmod(0o644, False)  # noqa: FBT003
        uid, gid = rules.owner_of(0, 0)
        addition = Addition(
            type=EntryType.REGULAR,
            mode=mode,
            uid=uid,
            gid=gid,
            mtime_ns=self._now,
            size=len(data),
            data=data,
        )
        self._put(path, addition)

    def directory(self, path: str, rules: CopyRules) -> None:
        """Have a directory there; one that is new belongs to the owner of what is copied.

        Raises LaminaError if something else is in its place.
        """
        # From the directory up: only what a new one is made in, or what changes itself, is new.
        changes = True
        while path:
            there = self._entries.get(path)
            if there is not None and there.type is EntryType.DIRECTORY:
                if changes:
                    self._entries[path] = replace(there, mtime_ns=self._now)
                return
            found = self._base.get(path)
            if found is not None and not found.is_directory:
                raise LaminaError(
                    f"failed to copy files: failed to create new directory: mkdir /{path}:"
                    " not a directory"
                )
            if found is None:
                uid, gid = rules.owner_of(0, 0)
                addition = Addition(
                    type=EntryType.DIRECTORY, mode=0o755, uid=uid, gid=gid, mtime_ns=self._now
                )
            else:
                addition = self._kept(found.entry, changes=changes)
            self._put(path, addition)
            changes = found is None
            path = posixpath.dirname(path)

    def take_over(self, files: Files, indexes: Sequence[LayerIndex], *, implied: bool) -> None:
        """Take all that is in `files` as it is; `indexes` are those of its layers.

        Directories that no layer has an entry for come along only if `implied` ones shall.
        """
        keeping = CopyRules(owner=None)
        linked: dict[tuple[int, int], str] = {}
        for path, found in files.view.walk(""):
            if implied or path in indexes[found.layer]:
                self._put(path, self._linked(linked, path, files, found, keeping))

    def mark(self, path: str) -> None:
        """Add an empty file that removes something of lower layers."""
        self._entries[path] = Addition(type=EntryType.REGULAR, mode=0o600)

    def _copy_directory(self, one: Picked, target: str, rules: CopyRules) -> None:
        found = self._base.get(target)
        if target and found is not None and not found.is_directory:
            raise LaminaError(
                f"failed to copy files: failed to copy directory: mkdir /{target}: not a directory"
            )
        self.directory(target, rules)
        linked: dict[tuple[int, int], str] = {}
        for _, below_it, relative in below(one, rules.exclusion):
            path = posixpath.join(target, relative)
            self._implied_parents(path, relative, rules)
            self._put(path, self._linked(linked, path, one.files, below_it, rules))

    def _linked(
        self,
        linked: dict[tuple[int, int], str],
        path: str,
        files: Files,
        found: Found,
        rules: CopyRules,
    ) -> Addition:
        """What is to be added at `path`: a link to the first path of a file that has several."""
        addition = self._file(files, found, rules)
        if found.entry.type not in _WITH_DATA:
            return addition
        first = linked.setdefault((found.layer, found.entry.offset), path)
        if first == path:
            return addition
        return replace(addition, type=EntryType.HARD_LINK, size=0, link=first, found=None)

    def _implied_parents(self, path: str, relative: str, rules: CopyRules) -> None:
        """Have the directories of a file whose own entries were left out."""
        parent = posixpath.dirname(path)
        if rules.exclusion is not None and "/" in relative and parent not in self._entries:
            self.directory(parent, rules)

    def _put(self, path: str, addition: Addition) -> None:
        if posixpath.basename(path).startswith(WHITEOUT_PREFIX):
            raise InvalidParameter(f"/{path}: names in a layer cannot begin with {WHITEOUT_PREFIX}")
        if addition.type is not EntryType.DIRECTORY:
            self._empty(path)
        self._below.setdefault(posixpath.dirname(path), set()).add(path)
        self._entries[path] = addition

    def _empty(self, path: str) -> None:
        """Take away what is below a path that is no directory any more."""
        ahead = [path]
        while ahead:
            for other in self._below.pop(ahead.pop(), ()):
                del self._entries[other]
                ahead.append(other)

    def _file(self, files: Files, found: Found, rules: CopyRules) -> Addition:
        entry = found.entry
        is_directory = entry.type is EntryType.DIRECTORY
        uid, gid = rules.owner_of(entry.uid, entry.gid)
        mode = entry.mode
        if rules.owner is not None and entry.type in _WITH_DATA:
            mode = _when_owned(mode)
        if rules.chmod is not None and entry.type is not EntryType.SYMLINK:
            mode = rules.chmod(mode, is_directory)
        has_data = entry.type in _WITH_DATA
        return Addition(
            type=EntryType.REGULAR if has_data else entry.type,
            mode=mode,
            uid=uid,
            gid=gid,
            mtime_ns=self._now if found.is_implied else self._time(entry.mtime_ns),
            size=entry.size if has_data else 0,
            link=entry.link if entry.type is EntryType.SYMLINK else "",
            major=entry.major,
            minor=entry.minor,
            xattrs=_kept_attributes(entry),
            files=files if has_data else None,
            found=found if has_data else None,
        )

    def _kept(self, entry: IndexEntry, *, changes: bool) -> Addition:
        """A directory of the base that comes along with what changes below it."""
        return Addition(
            type=EntryType.DIRECTORY,
            mode=entry.mode,
            uid=entry.uid,
            gid=entry.gid,
            mtime_ns=self._now if changes else self._time(entry.mtime_ns),
            xattrs=entry.xattrs,
        )

    def _time(self, mtime_ns: int) -> int:
        return mtime_ns if self._latest is None else min(mtime_ns, self._latest)


def check_path(path: str) -> None:
    """Raise InvalidParameter for a path that no file can have."""
    if "\0" in path:
        raise InvalidParameter(f"lstat {path}: invalid argument")


_WITH_DATA = frozenset(
    {EntryType.REGULAR, EntryType.HARD_LINK, EntryType.CONTIGUOUS, EntryType.GNU_SPARSE}
)


def _when_owned(mode: int) -> int:
    """The mode of a file that is given to somebody: Linux takes away what would lend his rights."""
    return mode & ~(S_ISUID | S_ISGID) if mode & S_IXGRP else mode & ~S_ISUID


def _kept_attributes(entry: IndexEntry) -> Mapping[str, bytes]:
    """Capabilities and what users set; not what another machine's security modules did."""
    return {
        name: value
        for name, value in entry.xattrs.items()
        if name == "security.capability" or name.startswith("user.")
    }
