"""Which processes use a root, to tell what a dead one left behind from work in progress.

Each process that opens a root holds a lock on a file of its own. The kernel drops the lock when the
process ends, however it ends; a process ID could be reused, or belong to another PID namespace.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

from lamina.errors import Unavailable

_INTERVAL: Final = 0.02
_PATIENCE: Final = 120.0
"""Seconds; cleaning up after hundreds of containers takes less."""


class Presence:
    """This process's mark in a root, held until `close`."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self.id = uuid4().hex
        self._path = directory / self.id
        # Created under a name that nobody looks at: no file is seen before its lock is held.
        unlocked = directory / f".{self.id}"
        self._file = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        unlocked.rename(self._path)

    def close(self) -> None:
        """Leave: the mark and its lock go."""
        self._path.unlink(missing_ok=True)
        os.close(self._file)

    @asynccontextmanager
    async def recovering(self, *, patience: float = _PATIENCE) -> AsyncIterator[None]:
        """One process at a time is here, and removes what others have left that were killed.

        Raises Unavailable if another has been here for `patience` seconds: it may be stopped.
        """
        file = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            until = asyncio.get_running_loop().time() + patience
            while not _lock_now(file):
                if asyncio.get_running_loop().time() > until:
                    raise Unavailable(
                        "another lamina process has been cleaning up what a killed one left in"
                        f" {self._directory.parent} for more than {patience:g} seconds"
                    )
                await asyncio.sleep(_INTERVAL)
            yield
        finally:
            os.close(file)

    def forget_dead(self) -> frozenset[str]:
        """Remove the marks of processes that have ended without `close`; returns their IDs."""
        dead = set()
        for path in self._directory.iterdir():
            if path.name != self.id and not path.name.startswith(".") and _is_abandoned(path):
                path.unlink(missing_ok=True)
                dead.add(path.name)
        return frozenset(dead)

    def living(self) -> frozenset[str]:
        """The IDs of the processes that use the root now, ours among them."""
        return frozenset(
            path.name
            for path in self._directory.iterdir()
            if not path.name.startswith(".") and not _is_abandoned(path)
        )


def _is_abandoned(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Shared: another who looks at the same moment is not to be taken for the process itself.
        return _lock_now(file, shared=True)
    finally:
        os.close(file)


def _lock_now(file: int, *, shared: bool = False) -> bool:
    """Lock an open file, for us alone unless `shared`; False if another has it."""
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
