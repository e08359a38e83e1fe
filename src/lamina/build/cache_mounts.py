"""The contents of cache mounts, which outlive builds.

::

    ROOT/build/mounts/<id>/record.json   what it is, and when it was used
    ROOT/build/mounts/<id>/lock          held by who uses it: shared, or alone
    ROOT/build/mounts/<id>/data/         what a command sees

``<id>`` is random. Several mounts may have one *name* (the instruction's ``id``): those of
``sharing=private``, of which each user gets one that nobody else has.
"""

import asyncio
import contextlib
import fcntl
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

import msgspec

from lamina.content.threads import run_to_end
from lamina.dockerfile.mounts import Sharing
from lamina.layers.directories import remove_path, size_below

_POLL: Final = 0.05
"""Seconds between two looks whether another process still holds a cache that is ``locked``."""

_FRESH: Final = ".tmp"
"""How the name of a record ends that is being written."""

Fill = Callable[[Path], Awaitable[None]]
"""Puts the first content into a new cache's directory."""


class CacheRecord(msgspec.Struct, kw_only=True):
    """What is known of one cache; times in unix nanoseconds."""

    name: str
    description: str
    created: int
    last_used: int
    uses: int = 0
    private: bool = False
    filled: bool = True
    """Whether it has all that it begins with; who fills it holds its lock alone."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One cache: its record, the bytes it takes, and whether a build uses it now."""

    id: str
    record: CacheRecord
    size: int
    in_use: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheWish:
    """Which cache a mount wants. `mode`, `uid` and `gid` are of the directory, when it is made."""

    name: str
    description: str
    sharing: Sharing = Sharing.SHARED
    mode: int = 0o755
    uid: int = 0
    gid: int = 0


class CacheMounts:
    """The caches below one directory, which several processes may share."""

    def __init__(self, directory: Path, *, now: Callable[[], int]) -> None:
        self.directory = directory
        self._now = now
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def held(self, wish: CacheWish, fill: Fill | None = None) -> AsyncIterator[Path]:
        """The directory of a cache while it is used; a new one is filled first, if that is asked.

        One that is ``locked`` is waited for.
        """
        if wish.sharing is Sharing.LOCKED:
            turn = self._turns.setdefault(wish.name, asyncio.Lock())
            async with turn, self._held(wish, fill) as path:
                yield path
        else:
            async with self._held(wish, fill) as path:
                yield path

    async def sweep(self) -> None:
        """Remove what processes have left that were killed while they made or removed a cache."""
        await run_to_end(self._sweep)

    async def entries(self) -> list[CacheEntry]:
        """All caches, the one used longest ago first."""
        return await asyncio.to_thread(self._entries)

    async def shrink(self, limit: int) -> None:
        """Remove what was used longest ago, until at most `limit` bytes are left."""
        entries = await self.entries()
        total = sum(entry.size for entry in entries)
        for entry in entries:
            if total <= limit:
                return
            total -= await self.remove(entry.id) or 0

    async def remove(self, cache_id: str) -> int | None:
        """Remove a cache; the bytes it took, None if it is in use or gone."""
        return await run_to_end(lambda: self._remove(cache_id))

    @asynccontextmanager
    async def _held(self, wish: CacheWish, fill: Fill | None) -> AsyncIterator[Path]:
        with_taken = contextlib.ExitStack()

        def take() -> _Taken | None:
            taken = self._take(wish, is_to_be_filled=fill is not None)
            if taken is not None:
                # Here, since whoever is cancelled meanwhile never sees the result.
                with_taken.callback(self._release, taken)
            return taken

        try:
            while True:
                # Who has it may be another process, which has no way to tell us.
                while (taken := await run_to_end(take)) is None:  # noqa: ASYNC110
                    await asyncio.sleep(_POLL)
                if not taken.is_new or fill is None:
                    break
                await self._fill(taken, fill)
                if wish.sharing is not Sharing.SHARED:
                    break
                # To be shared, it is taken like any other: a lock that becomes a shared one is
                # nobody's for a moment, in which what it guards may be removed.
                with_taken.pop_all()
                os.close(taken.lock)
            yield taken.data
        finally:
            await run_to_end(with_taken.close)

    async def _fill(self, taken: "_Taken", fill: Fill) -> None:
        try:
            await fill(taken.data)
        except BaseException:
            # Half of what it should hold is worse than nothing.
            await run_to_end(lambda: self._discard(taken.id))
            raise
        await run_to_end(lambda: self._keep(taken))

    def _keep(self, taken: "_Taken") -> None:
        """Say that a cache is filled."""
        record = self._read(taken.id)
        record.filled = True
        self._write(taken.id, record)

    def _take(self, wish: CacheWish, *, is_to_be_filled: bool) -> "_Taken | None":
        """Lock the cache that is wanted, or a new one; None if it is to be waited for."""
        private = wish.sharing is Sharing.PRIVATE
        for cache_id, record in self._records():
            if record.name != wish.name or record.private != private:
                continue
            exclusive = wish.sharing is not Sharing.SHARED
            lock = self._lock(cache_id, exclusive=exclusive)
            if lock is not None:
                if self._is_whole(cache_id):
                    return _Taken(cache_id, lock, self.directory / cache_id / "data", is_new=False)
                os.close(lock)  # Who was filling it was killed.
            elif not private:
                return None
        return self._make(wish, is_to_be_filled=is_to_be_filled)

    def _make(self, wish: CacheWish, *, is_to_be_filled: bool) -> "_Taken | None":
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Two processes must not make two caches of one name.
        with self._making():
            self._remove_half_made()
            private = wish.sharing is Sharing.PRIVATE
            if not private and any(
                record.name == wish.name and not record.private for _, record in self._records()
            ):
                return None
            cache_id = secrets.token_hex(13)
            place = self.directory / cache_id
            place.mkdir(mode=0o711)
            data = place / "data"
            data.mkdir()
            if os.geteuid() == 0:
                os.chown(data, wish.uid, wish.gid)
            data.chmod(wish.mode)
            exclusive = is_to_be_filled or wish.sharing is not Sharing.SHARED
            (place / "lock").touch(mode=0o600)
            lock = self._lock(cache_id, exclusive=exclusive)
            now = self._now()
            record = CacheRecord(
                name=wish.name,
                description=wish.description,
                created=now,
                last_used=now,
                private=private,
                filled=not is_to_be_filled,
            )
            self._write(cache_id, record)
        assert lock is not None  # Nobody else knows it yet.
        return _Taken(cache_id, lock, data, is_new=True)

    def _release(self, taken: "_Taken") -> None:
        with contextlib.suppress(OSError, msgspec.DecodeError):
            record = self._read(taken.id)
            record.last_used = self._now()
            record.uses += 1
            self._write(taken.id, record)
        os.close(taken.lock)

    @contextlib.contextmanager
    def _making(self) -> Iterator[None]:
        descriptor = os.open(self.directory / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _sweep(self) -> None:
        if not self.directory.is_dir():
            return
        with self._making():
            self._remove_half_made()
            for cache_id, _ in self._records():
                if not self._unfinished(cache_id):
                    continue
                lock = self._lock(cache_id, exclusive=True)
                if lock is not None:
                    for path in self._unfinished(cache_id):
                        path.unlink()
                    os.close(lock)

    def _remove_half_made(self) -> None:
        """Remove what a maker or remover left that was killed; the caller keeps makers away.

        What cannot be removed stays: it is in nobody's way.
        """
        for entry in list(os.scandir(self.directory)):
            if not entry.is_dir(follow_symlinks=False) or self._is_whole(entry.name):
                continue
            if not Path(entry.path, "lock").exists():
                # It was being made, or all but removed; who is at that does not mind.
                with contextlib.suppress(OSError):
                    remove_path(Path(entry.path))
                continue
            lock = self._lock(entry.name, exclusive=True)
            if lock is not None:
                if not self._is_whole(entry.name):
                    with contextlib.suppress(OSError):
                        self._discard(entry.name)
                os.close(lock)

    def _is_whole(self, cache_id: str) -> bool:
        """Whether it is a cache, with all that it was to begin with."""
        try:
            return self._read(cache_id).filled
        except (OSError, msgspec.DecodeError):
            return False

    def _unfinished(self, cache_id: str) -> list[Path]:
        """Records that are being written, or were by who was killed."""
        try:
            return [path for path in (self.directory / cache_id).iterdir() if path.suffix == _FRESH]
        except FileNotFoundError:
            return []

    def _discard(self, cache_id: str) -> None:
        """Remove a cache that the caller holds alone."""
        place = self.directory / cache_id
        # Without a record it is no cache any more, whatever becomes of the rest.
        (place / "record.json").unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            remove_path(place / "data")
        for path in self._unfinished(cache_id):
            path.unlink()
        # As long as there is anything that takes time, nobody else shall come to remove it.
        (place / "lock").unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            place.rmdir()

    def _lock(self, cache_id: str, *, exclusive: bool) -> int | None:
        """A descriptor that holds the cache; None if another holds it, or it is gone."""
        path = self.directory / cache_id / "lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except OSError:
            pass
        os.close(descriptor)
        return None

    def _records(self) -> Iterator[tuple[str, CacheRecord]]:
        """The caches there are, by ID; one that was half made when its maker was killed is none."""
        try:
            names = sorted(place.name for place in self.directory.iterdir())
        except FileNotFoundError:
            return
        for name in names:
            with contextlib.suppress(OSError, msgspec.DecodeError):
                yield name, self._read(name)

    def _read(self, cache_id: str) -> CacheRecord:
        raw = (self.directory / cache_id / "record.json").read_bytes()
        return msgspec.json.decode(raw, type=CacheRecord)

    def _write(self, cache_id: str, record: CacheRecord) -> None:
        path = self.directory / cache_id / "record.json"
        fresh = path.with_name(f"{secrets.token_hex(8)}{_FRESH}")
        fresh.write_bytes(msgspec.json.encode(record))
        fresh.rename(path)

    def _entries(self) -> list[CacheEntry]:
        found = []
        for cache_id, record in self._records():
            lock = self._lock(cache_id, exclusive=True)
            if lock is not None:
                os.close(lock)
            size = size_below(self.directory / cache_id / "data")
            found.append(CacheEntry(cache_id, record, size, in_use=lock is None))
        return sorted(found, key=lambda entry: entry.record.last_used)

    def _remove(self, cache_id: str) -> int | None:
        lock = self._lock(cache_id, exclusive=True)
        if lock is None:
            return None
        try:
            size = size_below(self.directory / cache_id / "data")
            self._discard(cache_id)
            return size
        finally:
            os.close(lock)


@dataclass(frozen=True, slots=True)
class _Taken:
    """A cache that is held by the descriptor `lock`."""

    id: str
    lock: int
    data: Path
    is_new: bool
