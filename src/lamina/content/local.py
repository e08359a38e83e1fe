"""The blob store on a local file system.

::

    root/blobs/<algorithm>/<hex>   published blobs (`lamina.content.blobs`)
    root/ingest/<key>/             blobs on their way in (`lamina.content.staging`)

Any number of processes may share a root: publishing is a rename or a link, an ingest is held by a
file lock. Nothing has to be repaired after a crash; `sweep_ingests` removes what a killed process
left.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from itertools import islice
from pathlib import Path

from lamina.content.blobs import BlobFiles
from lamina.content.reader import LocalReader
from lamina.content.staging import StagedFile, check_key, open_anonymous, open_keyed, sweep
from lamina.content.store import READ_LIMIT, BlobInfo
from lamina.content.threads import Threads
from lamina.content.writer import LocalWriter
from lamina.errors import BlobNotFound
from lamina.oci.digest import Digest

_WALK_BATCH = 1000


class LocalStore:
    """A `BlobStore` in the directory `root`, which is made when something is written.

    `clock` gives unix seconds. `unnamed`: for ingests without a key, use files without a name
    (O_TMPFILE) where the file system has them.
    """

    def __init__(
        self, root: Path, *, clock: Callable[[], float] = time.time, unnamed: bool = True
    ) -> None:
        self._ingests = root / "ingest"
        self._blobs = BlobFiles(root)
        self._clock = clock
        self._unnamed = unnamed
        self._threads = Threads()

    async def stat(self, digest: Digest) -> BlobInfo:
        """Size and age of a blob; BlobNotFound."""
        return await self._threads.run(partial(self._blobs.stat, digest))

    async def walk(self) -> AsyncIterator[BlobInfo]:
        """Every blob; those that come or go meanwhile may be seen or not."""
        digests = self._blobs.digests()
        while batch := await self._threads.run(lambda: list(islice(digests, _WALK_BATCH))):
            for info in await self._threads.run(partial(self._stat_those_there, batch)):
                yield info

    async def delete(self, digest: Digest) -> None:
        """Remove a blob; BlobNotFound. Readers that have it open keep it."""
        await self._threads.run(partial(self._blobs.delete, digest))

    @contextlib.asynccontextmanager
    async def open(self, digest: Digest) -> AsyncIterator[LocalReader]:
        """Open a blob for reading; BlobNotFound."""
        reader = LocalReader(digest, self._blobs, self._threads)
        try:
            await reader.begin()
            yield reader
        finally:
            reader.close()

    async def read_bytes(self, digest: Digest, limit: int = READ_LIMIT) -> bytes:
        """A small blob whole and verified; BlobNotFound, CorruptData, DigestMismatch."""
        if (data := self._blobs.read_cached(digest, limit)) is not None:
            return data
        return await self._threads.run(partial(self._blobs.read, digest, limit))

    @contextlib.asynccontextmanager
    async def ingest(
        self,
        key: str | None = None,
        *,
        expected: Digest | None = None,
        size: int | None = None,
        kept: Callable[[bytes], None] | None = None,
    ) -> AsyncIterator[LocalWriter]:
        """Begin a blob or continue the one of `key`: see `BlobStore.ingest`."""
        if key is not None:
            check_key(key)
        writer = LocalWriter(
            stage=partial(self._stage, key, expected),
            blobs=self._blobs,
            expected=expected,
            size=size,
            keep=key is not None,
            threads=self._threads,
        )
        try:
            if key is not None:
                await writer.begin(kept)
            yield writer
        finally:
            await writer.close()

    async def sweep_ingests(self, older_than: float | None = None) -> int:
        """Remove the ingests that nobody holds: see `BlobStore.sweep_ingests`."""
        written_before = None if older_than is None else self._clock() - older_than
        if older_than == 0:
            # The clock of the file system may be ahead by a tick.
            written_before = float("inf")
        return await self._threads.run(partial(sweep, self._ingests, written_before=written_before))

    def _stage(self, key: str | None, expected: Digest | None) -> StagedFile:
        self._ingests.mkdir(mode=0o700, parents=True, exist_ok=True)
        if key is None:
            return open_anonymous(self._ingests, unnamed=self._unnamed)
        return open_keyed(self._ingests, key, None if expected is None else str(expected))

    def _stat_those_there(self, digests: list[Digest]) -> list[BlobInfo]:
        there = []
        for digest in digests:
            with contextlib.suppress(BlobNotFound):
                there.append(self._blobs.stat(digest))
        return there
