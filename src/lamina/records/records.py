"""`Records`: the database and its content in memory, kept in step."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self, TypeVar
from uuid import uuid4

from sqlalchemy import Connection, delete, insert, select, update

from lamina.content.store import BlobStore
from lamina.errors import BlobNotFound
from lamina.oci.digest import Digest
from lamina.records import schema
from lamina.records.catalogue import Catalogue, Layer, read_catalogue
from lamina.records.changes import Change
from lamina.records.database import Database
from lamina.records.garbage import needed_blobs, unused_records
from lamina.records.processes import Presence

T = TypeVar("T")


_NEXT_GENERATION = (
    update(schema.state)
    .values(generation=schema.state.c.generation + 1)
    .returning(schema.state.c.generation)
)


class Transaction:
    """A write transaction in progress: the state it began with, and the changes made in it."""

    def __init__(self, connection: Connection, catalogue: Catalogue) -> None:
        self.connection = connection
        self.catalogue = catalogue
        """The records when the transaction began; the changes of `do` are not in it."""
        self.changes: list[Change] = []

    def do(self, change: Change) -> None:
        """Make one change."""
        change.write(self.connection)
        self.changes.append(change)

    def do_all(self, changes: Iterable[Change]) -> None:
        """Make several changes, in their order."""
        for change in changes:
            self.do(change)


class Lease:
    """Protection from garbage collection for blobs that no record names yet."""

    def __init__(self, records: "Records", lease_id: str) -> None:
        self._records = records
        self._id = lease_id

    async def protect(self, *digests: Digest) -> None:
        """Keep these blobs while the lease lasts. To be called before a blob is published or relied on."""
        await self._records.change(lambda transaction: self._add(transaction, digests))

    async def protect_layer(self, diff_id: Digest) -> Layer | None:
        """The layer with this diff ID, its blobs protected; None if there is no such layer."""

        def find(transaction: Transaction) -> Layer | None:
            layer = transaction.catalogue.layers.get(diff_id)
            if layer is not None:
                self._add(transaction, tuple(blob.digest for blob in layer.blobs))
            return layer

        return await self._records.change(find)

    def _add(self, transaction: Transaction, digests: tuple[Digest, ...]) -> None:
        table = schema.leased_blobs
        rows = [{"lease_id": self._id, "digest": str(digest)} for digest in digests]
        if rows:
            statement = insert(table).prefix_with("OR IGNORE", dialect="sqlite")
            transaction.connection.execute(statement, rows)


class Records:
    """The records of a root, shared with other processes that have it open.

    Reads use `catalogue`; every change is a function given to `change`. Both belong to the event loop
    that opened the records.
    """

    def __init__(self, root: Path, blobs: BlobStore, *, logger: logging.Logger) -> None:
        self._blobs = blobs
        self._logger = logger
        self._presence = Presence(root / "processes")
        self._database = Database(root / "lamina.db")
        self._writing = asyncio.Lock()
        self._catalogue = Catalogue()
        self._changed = asyncio.Condition()
        self.engine_id = ""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, root: Path, blobs: BlobStore, *, logger: logging.Logger
    ) -> AsyncIterator[Self]:
        """Open the records under `root`, making or migrating them as needed.

        What processes that were killed had left behind is removed first.
        """
        records = cls(root, blobs, logger=logger)
        try:
            await records._begin()
            yield records
        finally:
            await records._database.close()
            records._presence.close()

    @property
    def catalogue(self) -> Catalogue:
        """The records as they are now, whoever wrote last. Do not keep it over an await."""
        # While we write, nobody else does, and what we wrote is applied before the lock is free again.
        if not self._writing.locked() and self._database.generation() != self._catalogue.generation:
            self._catalogue = self._database.read(read_catalogue)
        return self._catalogue

    async def change(self, function: Callable[[Transaction], T]) -> T:
        """Run `function` in a write transaction and bring the catalogue up to date.

        The function runs on another thread and must not touch anything but its transaction. Whoever is
        cancelled while waiting leaves the change to end on its own: it happens whole or not at all.
        """
        return await asyncio.shield(asyncio.create_task(self._change(function)))

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Lease]:
        """A lease for as long as the context lasts; if this process dies, until another notices."""
        lease_id = uuid4().hex
        process = self._presence.id
        table = schema.leases
        await self.change(
            lambda transaction: transaction.connection.execute(
                insert(table).values(id=lease_id, process=process)
            )
        )
        try:
            yield Lease(self, lease_id)
        finally:
            await asyncio.shield(
                self.change(lambda transaction: _end_leases(transaction.connection, [lease_id]))
            )

    def read(self, function: Callable[[Connection], T]) -> T:
        """Query the database itself, for what the catalogue does not hold (events)."""
        return self._database.read(function)

    async def wait_for_change(self, timeout: float) -> None:
        """Return when this process changed something, or after `timeout` seconds at the latest."""
        async with self._changed:
            try:
                async with asyncio.timeout(timeout):
                    await self._changed.wait()
            except TimeoutError:
                return

    async def sweep(self, candidates: frozenset[Digest] | None = None) -> int:
        """Remove the blobs that nothing needs, of `candidates` or of the whole store; returns their bytes.

        Runs under the write lock: nobody can lease a blob between the decision and its removal. Records
        never name a blob that is gone, because a record goes in an earlier transaction than its blobs.
        """
        await self.change(_remove_unused)
        loop = asyncio.get_running_loop()

        def remove(transaction: Transaction) -> int:
            self._end_dead_leases(transaction.connection)
            keep = needed_blobs(transaction.catalogue, _leased(transaction.connection))
            # The blob store is asynchronous and lives on the loop, which is free while we hold the lock.
            removal = self._remove_blobs(candidates, keep)
            return asyncio.run_coroutine_threadsafe(removal, loop).result()

        return await self.change(remove)

    async def _begin(self) -> None:
        await self._database.run(schema.migrate)
        self.engine_id = self._database.read(
            lambda connection: connection.execute(select(schema.state.c.engine_id)).scalar_one()
        )
        if dead := self._presence.forget_dead():
            self._logger.info("removing what %d ended processes left behind", len(dead))
            await self.sweep()
            await self._blobs.sweep_ingests()

    async def _change(self, function: Callable[[Transaction], T]) -> T:
        async with self._writing:
            result, transaction, generation = await self._database.run(
                lambda connection: self._transact(connection, function)
            )
            self._catalogue = transaction.catalogue
            for change in transaction.changes:
                change.apply(self._catalogue)
            self._catalogue.generation = generation
        async with self._changed:
            self._changed.notify_all()
        return result

    def _transact(
        self, connection: Connection, function: Callable[[Transaction], T]
    ) -> tuple[T, Transaction, int]:
        generation: int = connection.execute(_NEXT_GENERATION).scalar_one()
        catalogue = self._catalogue
        if catalogue.generation != generation - 1:
            catalogue = read_catalogue(connection)
        transaction = Transaction(connection, catalogue)
        return function(transaction), transaction, generation

    def _end_dead_leases(self, connection: Connection) -> None:
        self._presence.forget_dead()
        living = self._presence.living()
        rows = connection.execute(select(schema.leases.c.id, schema.leases.c.process)).all()
        _end_leases(connection, [lease for lease, process in rows if process not in living])

    async def _remove_blobs(
        self, candidates: frozenset[Digest] | None, keep: frozenset[Digest]
    ) -> int:
        doomed = []
        if candidates is None:
            doomed = [info async for info in self._blobs.walk() if info.digest not in keep]
        for digest in (candidates or frozenset()) - keep:
            with contextlib.suppress(BlobNotFound):
                doomed.append(await self._blobs.stat(digest))
        for info in doomed:
            await self._blobs.delete(info.digest)
        return sum(info.size for info in doomed)


def _remove_unused(transaction: Transaction) -> None:
    transaction.do_all(unused_records(transaction.catalogue))


def _leased(connection: Connection) -> frozenset[Digest]:
    rows = connection.execute(select(schema.leased_blobs.c.digest).distinct())
    return frozenset(Digest.parse(text) for (text,) in rows)


def _end_leases(connection: Connection, lease_ids: list[str]) -> None:
    blobs, leases = schema.leased_blobs, schema.leases
    connection.execute(delete(blobs).where(blobs.c.lease_id.in_(lease_ids)))
    connection.execute(delete(leases).where(leases.c.id.in_(lease_ids)))
