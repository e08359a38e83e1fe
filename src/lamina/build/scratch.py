"""Temporary directories of builds, gone with their context, and with a process that was killed.

A directory that is in use holds a locked file; who finds one unlocked may remove it.
"""

import asyncio
import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from lamina.content.threads import run_to_end

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory in it is made with mkdtemp
_PREFIX: Final = "lamina-build-"
_LOCK: Final = ".lock"


@asynccontextmanager
async def scratch_directory(parent: Path) -> AsyncIterator[Path]:
    """An empty directory in a new one below `parent` that only this user sees into."""
    place, lock = await run_to_end(lambda: _make(parent))
    try:
        yield place / "content"
    finally:
        removal = asyncio.create_task(asyncio.to_thread(_remove, place, lock))
        await asyncio.shield(removal)


def sweep_left_overs(directory: Path) -> None:
    """Remove what builds of this user's killed processes have left in `directory` and MEMORY."""
    for parent in (directory, MEMORY):
        _sweep(parent)


def _sweep(parent: Path) -> None:
    for place in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            lock = os.open(place / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if os.fstat(lock).st_uid == os.geteuid():
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(place)
            finally:
                os.close(lock)


def _make(parent: Path) -> tuple[Path, int]:
    place = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    lock = os.open(place / _LOCK, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    (place / "content").mkdir()
    return place, lock


def _remove(place: Path, lock: int) -> None:
    shutil.rmtree(place, ignore_errors=True)
    os.close(lock)
