"""One member of an image archive on its way in: JSON to keep, or a file that may be a layer."""

# The intakes' methods are described once, by `MemberIntake`.
# ruff: noqa: D102

import re
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, Final, Protocol, TypeVar

from lamina.content.store import BlobWriter
from lamina.errors import DigestMismatch, InvalidLayer
from lamina.layers.compression import Compression
from lamina.oci.digest import Digest
from lamina.transfer.layer_intake import LayerIntake
from lamina.transfer.members import Document, Member, NoLayer

T = TypeVar("T")

_EARLY: Final = 64 << 10
"""Bytes of a file that are held in memory until it looks like a layer."""

_PROGRESS_STEP: Final = 512 << 10
"""Bytes of a layer between two reports at least; of a large one a hundredth, as dockerd does it."""

_DIFF_ID_PATH: Final = re.compile(r"(?:blobs/sha256/)?([0-9a-f]{64})(?:\.tar)?")
"""Where archives that do not compress put a layer, named by its diff ID."""


class Archive(Protocol):
    """What the intake of a file needs of the archive's; each call may wait for the event loop."""

    def open_writer(self, stack: AsyncExitStack, blob: Digest | None) -> BlobWriter:
        """A writer for a blob, closed with `stack`."""
        ...

    def publish(self, writer: BlobWriter, digest: Digest) -> None:
        """Make a written blob visible."""
        ...

    def has_published(self, digest: Digest) -> bool:
        """Whether another member was the same blob."""
        ...

    def claimed_diff_id(self, path: str) -> Digest | None:
        """What the members so far say about the layer at `path`."""
        ...

    def tell(self, diff_id: Digest, current: int, total: int) -> None:
        """Note how much of a layer has been taken."""
        ...

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the loop."""
        ...


class MemberIntake(Protocol):
    """Takes the data of one member, in pieces that are valid during the call only."""

    def take(self, data: memoryview) -> None:
        """Take the next bytes."""
        ...

    def end(self) -> Member:
        """Say that the data ends here; returns what the member is."""
        ...

    def close(self) -> None:
        """Let go of what was not ended."""
        ...


class DocumentIntake:
    """Keeps a JSON member; one that is named by a digest is checked against it."""

    def __init__(self, blob: Digest | None) -> None:
        self._blob = blob
        self._raw = bytearray()

    def take(self, data: memoryview) -> None:
        self._raw += data

    def end(self) -> Member:
        raw = bytes(self._raw)
        if self._blob is not None:
            hasher = self._blob.hasher()
            hasher.update(raw)
            if (actual := Digest.from_hasher(hasher)) != self._blob:
                raise DigestMismatch(self._blob, actual)
        return Document(raw)

    def close(self) -> None:
        self._raw.clear()


class _LateWriter:
    """A blob's writer that is opened for what is long, or sound and new: not for every small file.

    An archive may hold a hundred thousand files that are no layers, or all the same.
    """

    def __init__(self, archive: Archive, blob: Digest | None) -> None:
        self._archive = archive
        self._blob = blob
        self._early: list[bytes] = []
        self._offset = 0
        self._stack = AsyncExitStack()
        self._writer: BlobWriter | None = None

    @property
    def offset(self) -> int:
        return self._offset

    def write_sync(self, data: bytes | memoryview) -> None:
        self._offset += len(data)
        if self._writer is None and self._offset <= _EARLY:
            self._early.append(bytes(data))
        else:
            self._opened().write_sync(data)

    def finish_sync(self) -> Digest:
        if self._writer is None and self._blob is None:
            digest = Digest.of(b"".join(self._early))
            if self._archive.has_published(digest):
                return digest
        return self._opened().finish_sync()

    def publish(self, digest: Digest) -> None:
        """Make the written blob visible."""
        if self._writer is not None:
            self._archive.publish(self._writer, digest)

    def close(self) -> None:
        """Give up what was not published."""
        if self._writer is not None:
            self._archive.wait(self._stack.aclose())

    def _opened(self) -> BlobWriter:
        if self._writer is None:
            self._writer = self._archive.open_writer(self._stack, self._blob)
            early, self._early = b"".join(self._early), []
            self._writer.write_sync(early)
        return self._writer


class FileIntake:
    """Stores a member as a layer, until it turns out to be none.

    One that is named by a digest is stored even so: a manifest may refer to it.
    """

    def __init__(self, archive: Archive, path: str, blob: Digest | None, size: int) -> None:
        self._archive = archive
        self._path = path
        self._blob = blob
        self._size = size
        self._taken = 0
        self._step = max(_PROGRESS_STEP, size // 100)
        self._next_report = self._step
        self._diff_id: Digest | None = None
        self._error: InvalidLayer | None = None
        self._writer = _LateWriter(archive, blob)
        self._layer = LayerIntake(self._writer, expected=blob)

    def take(self, data: memoryview) -> None:
        if self._error is not None:
            return
        try:
            self._layer.feed(data)
        except InvalidLayer as error:
            # Archives may hold other files: an error only if a manifest calls this one a layer.
            self._error = _without_traceback(error)
            self.close()
            return
        self._report(len(data))

    def end(self) -> Member:
        if self._error is not None:
            return NoLayer(self._error)
        try:
            layer = self._layer.finish()
        except InvalidLayer as error:
            if self._blob is not None:
                self._writer.publish(self._blob)
            self.close()
            return NoLayer(_without_traceback(error), is_stored=self._blob is not None)
        self._writer.publish(layer.blob.digest)
        self.close()
        self._archive.tell(layer.diff_id, self._size, self._size)
        return layer

    def close(self) -> None:
        self._writer.close()

    def _report(self, length: int) -> None:
        if self._taken == 0 and self._size > self._step:
            self._diff_id = self._archive.claimed_diff_id(self._path) or self._diff_id_by_path()
        self._taken += length
        if self._diff_id is None or not self._layer.is_sound:
            return
        if self._next_report <= self._taken < self._size:
            self._next_report = self._taken + self._step
            self._archive.tell(self._diff_id, self._taken, self._size)

    def _diff_id_by_path(self) -> Digest | None:
        match = _DIFF_ID_PATH.fullmatch(self._path)
        if match is None or self._layer.compression is not Compression.PLAIN:
            return None
        return Digest.parse(f"sha256:{match[1]}")


def _without_traceback(error: InvalidLayer) -> InvalidLayer:
    """The error to keep: a traceback would keep everything alive that read the member."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error
