"""The SQLite database of a root: connections and transactions.

All writing happens on one thread of our own through one connection, a transaction at a time, each
a plain function: nothing can be awaited half-way, and the event loop never waits for a lock or an
fsync. SQLAlchemy's synchronous Core is used for it, not aiosqlite, which would cost a change of
threads per statement instead of one per transaction.
"""

import asyncio
import contextlib
import errno
import os
import sqlite3
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from lamina.errors import Unavailable
from lamina.records.mark import Mark

T = TypeVar("T")

BUSY_TIMEOUT = 60.0
"""Seconds a writer waits for another process; sweeping a large root takes seconds."""


class Database:
    """One process's access to the database of a root."""

    def __init__(self, path: Path) -> None:
        self._path = path
        _make_private(path)
        self.mark = Mark(path.with_name(f"{path.name}-mark"))
        """Which generation is the latest, where that is sure."""
        self._engine = _create_engine(path)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lamina-records")
        self._writer: Connection | None = None
        self._durable = True
        self._watcher = sqlite3.connect(path, isolation_level=None)

    async def run(self, function: Callable[[Connection], T], *, durable: bool = True) -> T:
        """Run `function` in a write transaction: committed if it returns, undone if it raises.

        A transaction that is not `durable` costs no fsync. A power cut may undo it, but never
        without all that came after it. Raises Unavailable if another process holds the lock for
        longer than BUSY_TIMEOUT. A caller that is cancelled still gets the transaction it started:
        it ends, one way or the other. Raises OSError where the disk is full or fails.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._transact, function, durable)

    def read(self, function: Callable[[Connection], T]) -> T:
        """Run `function` in a read transaction, on the calling thread; never waits for writers."""
        with self._engine.connect() as connection:
            return function(connection)

    def generation(self) -> int:
        """The count of changes by now, whichever process made them.

        Asked where `mark` cannot tell, hence past SQLAlchemy, on a connection kept for it.
        """
        generation: int = self._watcher.execute("SELECT generation FROM state").fetchone()[0]
        return generation

    async def close(self) -> None:
        """Let a running transaction end and close all connections."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._close_writer)
        self._thread.shutdown()
        self._watcher.close()
        self.mark.close()
        self._engine.dispose()

    def _transact(self, function: Callable[[Connection], T], durable: bool) -> T:  # noqa: FBT001
        if self._writer is None:
            self._writer = self._engine.connect().execution_options(lamina_write=True)
        self._set_durable(self._writer, durable=durable)
        try:
            with self._writer.begin():
                return function(self._writer)
        except OperationalError as error:
            # Where it is the commit that fails, SQLite leaves the transaction open.
            self._writer.rollback()
            _driver(self._writer).rollback()
            raise _told(error, self._path) from error

    def _set_durable(self, writer: Connection, *, durable: bool) -> None:
        if durable is not self._durable:
            # Past SQLAlchemy, which would begin a transaction, in which this cannot be changed.
            _driver(writer).execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable

    def _close_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _told(error: OperationalError, path: Path) -> Exception:
    """What the failure of a transaction means; the error itself if that is not known."""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_BUSY:
        return Unavailable("the data root is busy: another lamina process holds its lock")
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        number = errno.ENOSPC if code == sqlite3.SQLITE_FULL else errno.EIO
        return OSError(number, os.strerror(number), str(path))
    return error


def _make_private(path: Path) -> None:
    """See that a new database is for its owner only; SQLite makes the files beside it alike.

    It has its name only when it is closed: to close a database's file ends the locks that other
    connections of this process have on it.
    """
    if path.exists():
        return
    descriptor, fresh = tempfile.mkstemp(prefix=f"{path.name}-", dir=path.parent)
    os.close(descriptor)
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(fresh)
    Path(fresh).unlink()


def _create_engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        # pysqlite's own transaction control would begin too late; see `begin` below.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT * 1000)}")
        connection.execute("PRAGMA journal_mode = WAL")
        # FULL: an answer that was given survives a power cut, as dockerd's fsynced files do.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # One that reads first and writes later cannot wait for the lock (SQLITE_BUSY at once).
        writes = connection.get_execution_options().get("lamina_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
