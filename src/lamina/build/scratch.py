"""Temporary directories of builds, gone with their context, and with a process that was killed.

A directory that is in use is locked; who finds one unlocked may remove it.
"""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO, Final

from lamina.content.threads import run_to_end
from lamina.layers.directories import remove_path

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory in it is made with mkdtemp
_PREFIX: Final = "lamina-build-"
_OPEN: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@asynccontextmanager
async def scratch_directory(parent: Path) -> AsyncIterator[Path]:
    """An empty directory in a new one below `parent` that only this user sees into."""
    made = contextlib.ExitStack()
    try:
        # Whoever is cancelled meanwhile never sees the result, but what was made is known.
        yield await run_to_end(lambda: made.enter_context(_made(parent)))
    finally:
        await run_to_end(made.close)


@asynccontextmanager
async def unnamed_file(directory: Path) -> AsyncIterator[BinaryIO]:
    """A temporary file without a name. To close it frees its disk, which takes its time."""
    made = contextlib.ExitStack()
    try:
        yield await run_to_end(lambda: made.enter_context(_unnamed(directory)))
    finally:
        await run_to_end(made.close)


def sweep_left_overs(directory: Path) -> None:
    """Remove what builds of this user's killed processes have left in `directory` and MEMORY."""
    for parent in (directory, MEMORY):
        _sweep(parent)


def _sweep(parent: Path) -> None:
    for place in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            lock = os.open(place, _OPEN)
            try:
                if os.fstat(lock).st_uid == os.geteuid():
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    remove_path(place)
            finally:
                os.close(lock)


@contextlib.contextmanager
def _unnamed(directory: Path) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile(dir=directory) as file:
        yield file


@contextlib.contextmanager
def _made(parent: Path) -> Iterator[Path]:
    place, lock = _make(parent)
    try:
        content = place / "content"
        content.mkdir()
        yield content
    finally:
        with contextlib.suppress(OSError):
            remove_path(place)
        os.close(lock)


def _make(parent: Path) -> tuple[Path, int]:
    """A new directory, and the descriptor that locks it."""
    while True:
        place = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        # Who sweeps may be quicker than we, until it is locked.
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(place, _OPEN)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.fstat(lock).st_nlink:
                return place, lock
            os.close(lock)
