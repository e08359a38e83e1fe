"""Files that are being written and are not blobs yet.

An ingest without a key is a file without a name where the file system can do that (O_TMPFILE): a
killed process leaves nothing, and publishing is one link. Otherwise an ingest is a directory::

    ingest/<key>/data   the bytes so far; whoever writes them holds an flock on it
    ingest/<key>/ref    the digest they are meant to have, if it is known

An ingest without a key has a name there which no key can have. The kernel drops the lock with the
process, so an unlocked ingest is a stale one. Between opening a file and locking it, its owner may
have published or removed it: what was locked is only ours if it still has its name.
"""

import contextlib
import errno
import fcntl
import os
import re
import secrets
from pathlib import Path

from lamina.errors import Conflict, InvalidParameter

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,199}")
_ANONYMOUS = ".anonymous-"
_ATTEMPTS = 100
_REF_LIMIT = 1024


def check_key(key: str) -> None:
    """InvalidParameter unless `key` can name a directory, and no other one than its own."""
    if _KEY.fullmatch(key) is None:
        raise InvalidParameter(f"invalid ingest key: {key[:200]!r}")


class UnnamedFile:
    """A file that has no name until it is published."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def publish(self, target: Path) -> None:
        """Give it the name `target`; a file already there stays."""
        # Given src_dir_fd, Python calls linkat, which follows the link to the open file.
        parent = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with contextlib.suppress(FileExistsError):
                os.link(
                    f"/proc/self/fd/{self.descriptor}",
                    target,
                    src_dir_fd=parent,
                    follow_symlinks=True,
                )
        finally:
            os.close(parent)

    def remove(self) -> None:
        """Nothing to do: it goes with the descriptor."""

    def close(self) -> None:
        """Close; unpublished bytes are gone."""
        os.close(self.descriptor)


class NamedFile:
    """The data file of an ingest directory, open and locked."""

    def __init__(self, directory: Path, descriptor: int) -> None:
        self.descriptor = descriptor
        self._directory = directory
        self._published = False

    def publish(self, target: Path) -> None:
        """Move it to `target`, over what is there."""
        with contextlib.suppress(FileNotFoundError):
            (self._directory / "ref").unlink()
        (self._directory / "data").rename(target)
        # From here on the directory may be the next writer's.
        self._published = True
        _remove_empty(self._directory)

    def remove(self) -> None:
        """Remove the ingest, if it was not published."""
        if not self._published:
            _remove(self._directory)

    def close(self) -> None:
        """Close and unlock; the bytes stay for who comes next."""
        os.close(self.descriptor)


StagedFile = UnnamedFile | NamedFile


def open_anonymous(ingests: Path, *, unnamed: bool) -> StagedFile:
    """A new empty file in no one else's reach; `unnamed` False: with a name in any case."""
    if unnamed and (descriptor := _open_unnamed(ingests)) is not None:
        return UnnamedFile(descriptor)
    for _ in range(_ATTEMPTS):
        directory = ingests / f"{_ANONYMOUS}{secrets.token_hex(16)}"
        try:
            descriptor = _acquire(directory)
        except BlockingIOError:
            continue  # a sweep came by before it was locked
        if descriptor is not None:
            return NamedFile(directory, descriptor)
    raise Conflict("no ingest could be begun")


def open_keyed(ingests: Path, key: str, expected: str | None) -> NamedFile:
    """The file of `key`, locked, at whatever length it has; Conflict if another holds it.

    Emptied if it was meant to become another digest than `expected`.
    """
    directory = ingests / key
    for _ in range(_ATTEMPTS):
        try:
            descriptor = _acquire(directory)
        except BlockingIOError:
            raise Conflict(f"ingest {key} is being written by another") from None
        if descriptor is None:
            continue
        try:
            _agree(directory / "ref", descriptor, expected)
        except BaseException:
            os.close(descriptor)
            raise
        return NamedFile(directory, descriptor)
    raise Conflict(f"ingest {key} is being written by others")


def sweep(ingests: Path, *, written_before: float | None) -> int:
    """Remove the ingests nobody holds: those without a key, and keyed ones last written by then.

    `written_before`: unix seconds; None keeps every keyed one. How many were removed.
    """
    swept = 0
    for directory in list(ingests.iterdir()) if ingests.is_dir() else []:
        keyed = not directory.name.startswith(_ANONYMOUS)
        if keyed and written_before is None:
            continue
        swept += _sweep_one(directory, written_before=written_before if keyed else None)
    return swept


def _sweep_one(directory: Path, *, written_before: float | None) -> bool:
    try:
        # Made, if it is not there: what is locked cannot be begun anew while it is removed.
        descriptor = _acquire(directory)
    except (BlockingIOError, FileExistsError, NotADirectoryError):
        return False
    if descriptor is None:
        return False
    try:
        if written_before is not None and os.fstat(descriptor).st_mtime > written_before:
            return False
        _remove(directory)
        return True
    finally:
        os.close(descriptor)


def _open_unnamed(ingests: Path) -> int | None:
    """The descriptor of a file without a name; None where there are none, or none to link."""
    try:
        descriptor = os.open(ingests, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        # The second is what a kernel says that takes the flag for an attempt to write a directory.
        if error.errno in {errno.EOPNOTSUPP, errno.EISDIR}:
            return None
        raise
    if Path(f"/proc/self/fd/{descriptor}").exists():
        return descriptor
    os.close(descriptor)
    return None


def _acquire(directory: Path) -> int | None:
    """The locked descriptor of the data file of `directory`, made if missing.

    BlockingIOError: another holds it. None: it was published or removed meanwhile.
    """
    data = directory / "data"
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    try:
        descriptor = os.open(data, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = _is_at(descriptor, data)
    except BaseException:
        os.close(descriptor)
        raise
    if ours:
        return descriptor
    os.close(descriptor)
    return None


def _agree(ref: Path, descriptor: int, expected: str | None) -> None:
    """Throw away bytes meant for another digest, and note which one these are meant for."""
    if expected is None:
        return
    try:
        with ref.open("rb") as file:
            noted = file.read(_REF_LIMIT)
    except FileNotFoundError:
        noted = b""
    if noted == expected.encode():
        return
    if noted:
        # Before the note: bytes of one blob must never stand under the note of another.
        os.ftruncate(descriptor, 0)
    ref.write_bytes(expected.encode())


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _remove(directory: Path) -> None:
    """Remove an ingest directory whose data file the caller has locked.

    The data file goes last: without it anyone may begin anew, and what is there then is theirs.
    """
    for name in ("ref", "data"):
        with contextlib.suppress(FileNotFoundError):
            (directory / name).unlink()
    _remove_empty(directory)


def _remove_empty(directory: Path) -> None:
    # Somebody may have begun it anew, or removed it already.
    with contextlib.suppress(OSError):
        directory.rmdir()
