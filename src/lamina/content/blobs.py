"""The files of the published blobs: ``blobs/<algorithm>/<hex>``.

A file gets its name there when its bytes are verified and on disk, so whatever has a name is whole,
and no start has anything to repair.
"""

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from lamina.content.durable import make_directory, sync_directory
from lamina.content.staging import StagedFile
from lamina.content.store import READ_LIMIT, BlobInfo
from lamina.errors import BlobNotFound, CorruptData, DigestMismatch, InvalidDigest
from lamina.oci.digest import HEX_LENGTHS, Digest

_CACHED_SIZE = 64 << 10
"""Bytes that are read and hashed in less time than a thread takes to wake up (100 µs)."""


class BlobFiles:
    """The directory of blobs within `root`; all calls block."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._directory = root / "blobs"
        self._durable: set[Path] = set()

    def path(self, digest: Digest) -> Path:
        """Where the blob is, if it is there."""
        return self._directory / digest.algorithm / digest.hex

    def stat(self, digest: Digest) -> BlobInfo:
        """BlobNotFound if it is not there."""
        try:
            found = self.path(digest).stat()
        except FileNotFoundError:
            raise BlobNotFound(digest) from None
        return BlobInfo(digest, found.st_size, found.st_mtime)

    def has(self, digest: Digest, size: int) -> bool:
        """Whether it is there in full; one that was damaged since is there to be replaced."""
        try:
            return self.path(digest).stat().st_size == size
        except FileNotFoundError:
            return False

    def open(self, digest: Digest) -> int:
        """A descriptor for reading; BlobNotFound if it is not there."""
        try:
            return os.open(self.path(digest), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise BlobNotFound(digest) from None

    def read(self, digest: Digest, limit: int) -> bytes:
        """All of a blob of at most `limit` bytes, verified: see `BlobStore.read_bytes`."""
        with os.fdopen(self.open(digest), "rb") as file:
            data = file.read(_size_within(file.fileno(), digest, limit))
        _verify(data, digest)
        return data

    def read_cached(self, digest: Digest, limit: int) -> bytes | None:
        """`read`, if the blob is small and in the page cache; None if it would block."""
        descriptor = self.open(digest)
        try:
            size = _size_within(descriptor, digest, limit)
            if size > _CACHED_SIZE:
                return None
            data = bytearray(size)
            if os.preadv(descriptor, [data], 0, os.RWF_NOWAIT) != size:
                return None
        except (BlockingIOError, NotImplementedError):
            return None
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                return None
            raise
        finally:
            os.close(descriptor)
        _verify(data, digest)
        return bytes(data)

    def publish(self, file: StagedFile, digest: Digest) -> BlobInfo:
        """Give a staged file, which is verified and on disk, its name, durably."""
        target = self.path(digest)
        if target.parent not in self._durable:
            make_directory(target.parent, within=self._root)
            self._durable.add(target.parent)
        written = os.fstat(file.descriptor)
        with contextlib.suppress(FileNotFoundError):
            if target.stat().st_size != written.st_size:
                target.unlink()
        file.publish(target)
        sync_directory(target.parent)
        return BlobInfo(digest, written.st_size, written.st_mtime)

    def renew(self, digest: Digest, size: int) -> BlobInfo | None:
        """Take a blob that is there in full as newly ingested; None if it is not."""
        path = self.path(digest)
        try:
            os.utime(path)
            found = path.stat()
            # Whoever published it may not have come to this yet.
            sync_directory(path.parent)
        except FileNotFoundError:
            return None
        return BlobInfo(digest, found.st_size, found.st_mtime) if found.st_size == size else None

    def delete(self, digest: Digest) -> None:
        """BlobNotFound if it is not there. A power cut may bring it back, for the next sweep."""
        try:
            self.path(digest).unlink()
        except FileNotFoundError:
            raise BlobNotFound(digest) from None

    def digests(self) -> Iterator[Digest]:
        """The blobs there are; other files are passed over."""
        for algorithm in HEX_LENGTHS:
            try:
                entries = os.scandir(self._directory / algorithm)
            except FileNotFoundError:
                continue
            with entries:
                for entry in entries:
                    with contextlib.suppress(InvalidDigest):
                        yield Digest.parse(f"{algorithm}:{entry.name}")


def _size_within(descriptor: int, digest: Digest, limit: int) -> int:
    size = os.fstat(descriptor).st_size
    if size > min(limit, READ_LIMIT):
        raise CorruptData(f"blob {digest} is too large to be read whole: {size} bytes")
    return size


def _verify(data: bytes | bytearray, digest: Digest) -> None:
    actual = Digest.from_hasher(hashlib.new(digest.algorithm, data, usedforsecurity=False))
    if actual != digest:
        raise DigestMismatch(digest, actual)
