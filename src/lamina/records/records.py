"""`Records`: the database and its content in memory, kept in step."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import uuid4

from sqlalchemy import Connection, delete, insert, select, update

from lamina.content.store import BlobStore
from lamina.errors import BlobNotFound, LaminaError, Unavailable
from lamina.oci.digest import Digest
from lamina.records import schema
from lamina.records.catalogue import Catalogue, read_catalogue
from lamina.records.changes import Change
from lamina.records.database import Database
from lamina.records.garbage import named_blobs, unused_records
from lamina.records.processes import Presence

T = TypeVar("T")


_GENERATION = select(schema.state.c.generation)
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
        """Keep these blobs while the lease lasts; to be called before one is published."""
        await self._records.change(
            lambda transaction: self._add(transaction, digests), durable=False
        )

    async def claim(self, find: Callable[[Catalogue], tuple[T, Iterable[Digest]]]) -> T:
        """What `find` finds in the records, with the blobs it names protected from that moment.

        What is in the records has its blobs in the store. `find` runs on another thread, and what
        it raises is raised.
        """

        def claim(transaction: Transaction) -> T:
            found, digests = find(transaction.catalogue)
            self._add(transaction, digests)
            return found

        return await self._records.change(claim, durable=False)

    def _add(self, transaction: Transaction, digests: Iterable[Digest]) -> None:
        table = schema.leased_blobs
        rows = [{"lease_id": self._id, "digest": str(digest)} for digest in digests]
        if rows:
            statement = insert(table).prefix_with("OR IGNORE", dialect="sqlite")
            transaction.connection.execute(statement, rows)


class Records:
    """The records of a root, shared with other processes that have it open.

    Reads use `catalogue`; every change is a function given to `change`. Both belong to the event
    loop that opened the records.
    """

    def __init__(self, root: Path, blobs: BlobStore, *, logger: logging.Logger) -> None:
        self._blobs = blobs
        self._logger = logger
        self._presence = Presence(root / "processes")
        try:
            self._database = Database(root / "lamina.db")
        except BaseException:
            # On a full disk, for one: others would see this process at work as long as it lives.
            self._presence.close()
            raise
        self._writing = asyncio.Lock()
        self._catalogue = Catalogue(generation=-1)
        self._own_generation = -1
        self._changed = asyncio.Condition()
        self._unfinished: set[asyncio.Task[Any]] = set()
        self._unended: set[str] = set()
        """Leases that are over, and that the disk would not take the end of."""
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
            await records._close()

    @property
    def process(self) -> str:
        """The name of this process among those that use the root."""
        return self._presence.id

    def living(self) -> frozenset[str]:
        """The names of the processes that use the root now, this one among them."""
        return self._presence.living()

    def recovering(self) -> AbstractAsyncContextManager[None]:
        """One process at a time is here, and removes what others have left that were killed."""
        return self._presence.recovering()

    @property
    def catalogue(self) -> Catalogue:
        """The records as they are now, whoever wrote last. Do not keep it over an await."""
        if self._database.mark.is_at(self._catalogue.generation):
            return self._catalogue
        generation = self._database.generation()
        # Our own latest change may be committed and not applied yet: its caller has no answer yet.
        if generation not in {self._catalogue.generation, self._own_generation}:
            self._catalogue = self._database.read(read_catalogue)
        return self._catalogue

    async def change(self, function: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """Run `function` in a write transaction and bring the catalogue up to date.

        Nobody waits for the disk if it is not `durable`: a power cut may undo it, with all later
        ones. For leases, which no power cut survives anyway, and events of what changed nothing.

        The function runs on another thread and must not touch anything but its transaction. Whoever
        is cancelled while waiting leaves the change to end on its own: it happens whole or not at
        all.
        """
        return await self.finish(self._change(function, durable=durable))

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` to its end, even if the caller is cancelled; closing the records waits for it.

        For what must not stop half-way: a deletion and the removal of what it freed. How it failed
        whose caller is gone is logged.
        """
        task = asyncio.create_task(work)
        self._unfinished.add(task)
        task.add_done_callback(self._unfinished.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(self._note_failure)
            raise

    def _note_failure(self, task: asyncio.Task[Any]) -> None:
        """Write down how work failed that nobody waits for any more, unless it was in vain."""
        if not task.cancelled() and (error := task.exception()) is not None:
            level = logging.INFO if isinstance(error, LaminaError) else logging.ERROR
            self._logger.log(level, "work whose caller has gone failed", exc_info=error)

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Lease]:
        """A lease for as long as the context lasts; if this process dies, until another notices."""
        lease_id = uuid4().hex
        process = self._presence.id
        table = schema.leases
        try:
            await self.change(
                lambda transaction: transaction.connection.execute(
                    insert(table).values(id=lease_id, process=process)
                ),
                durable=False,
            )
            yield Lease(self, lease_id)
        finally:
            # Changes keep their order: this one ends the lease even if its begin still waits.
            self._unended.add(lease_id)
            await self._end_leases()

    async def _end_leases(self) -> None:
        over = frozenset(self._unended)
        try:
            await self.change(
                lambda transaction: _end_leases(transaction.connection, over), durable=False
            )
        except (OSError, Unavailable) as error:
            # What was done under it is done. It ends with the next one, or is swept.
            self._logger.warning("a lease goes on: %s", error)
        else:
            self._unended -= over

    def read(self, function: Callable[[Connection], T]) -> T:
        """Query the database itself, for what the catalogue does not hold (events)."""
        return self._database.read(function)

    async def wait_for_change(self, seen: int, *, at_most: float) -> None:
        """Return when this process has made a change after generation `seen`.

        Those of other processes are not noticed: return after `at_most` seconds in any case.
        """
        async with self._changed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(at_most):
                    await self._changed.wait_for(lambda: self._catalogue.generation > seen)

    async def sweep(self, candidates: frozenset[Digest] | None = None) -> int:
        """Remove what nothing needs, of `candidates` or of the whole store; returns its bytes.

        First the records that nothing needs, then the blobs that no record names any more: so there
        never is a record of a blob that is gone. The latter under the write lock: nobody can lease
        a blob between the decision and its removal.
        """
        return await self.finish(self._sweep(candidates))

    async def _sweep(self, candidates: frozenset[Digest] | None) -> int:
        await self.change(_remove_unused)
        loop = asyncio.get_running_loop()

        over = frozenset(self._unended)

        def remove(transaction: Transaction) -> int:
            died = self._end_leases_of_nobody(transaction.connection, over)
            keep = named_blobs(transaction.catalogue) | _leased(transaction.connection)
            # Nobody else will look for what a dead process left behind.
            removal = self._remove_blobs(None if died else candidates, keep)
            # The store is asynchronous and lives on the loop, which is free meanwhile.
            return asyncio.run_coroutine_threadsafe(removal, loop).result()

        size = await self.change(remove)
        self._unended -= over
        return size

    async def _close(self) -> None:
        while self._unfinished:
            await asyncio.wait(self._unfinished)
        try:
            await self._database.close()
        finally:
            self._presence.close()

    async def _begin(self) -> None:
        await self._database.run(self._migrate)
        self.engine_id = self._database.read(
            lambda connection: connection.execute(select(schema.state.c.engine_id)).scalar_one()
        )
        if dead := self._presence.forget_dead():
            self._logger.info("removing what %d ended processes left behind", len(dead))
            await self.sweep()
            await self._blobs.sweep_ingests()

    def _migrate(self, connection: Connection) -> None:
        schema.migrate(connection)
        self._database.mark.reset(connection.execute(_GENERATION).scalar_one())

    async def _change(self, function: Callable[[Transaction], T], *, durable: bool) -> T:
        async with self._writing:
            try:
                result, transaction, generation = await self._database.run(
                    lambda connection: self._transact(connection, function), durable=durable
                )
                self._database.mark.end(generation)
                self._catalogue = transaction.catalogue
                for change in transaction.changes:
                    change.apply(self._catalogue)
                self._catalogue.generation = generation
            finally:
                self._own_generation = -1
        async with self._changed:
            self._changed.notify_all()
        return result

    def _transact(
        self, connection: Connection, function: Callable[[Transaction], T]
    ) -> tuple[T, Transaction, int]:
        generation: int = connection.execute(_GENERATION).scalar_one()
        catalogue = self._catalogue
        if catalogue.generation != generation:
            catalogue = read_catalogue(connection)
        transaction = Transaction(connection, catalogue)
        result = function(transaction)
        # Leases are no part of the catalogue: who has it need not read it anew.
        if transaction.changes:
            generation = connection.execute(_NEXT_GENERATION).scalar_one()
            # From here on nothing can fail but the commit.
            self._own_generation = generation
            self._database.mark.begin(generation)
        return result, transaction, generation

    def _end_leases_of_nobody(self, connection: Connection, over: frozenset[str]) -> bool:
        """End those of `over` and of processes that are no more; whether there were any."""
        dead = self._presence.forget_dead()
        living = self._presence.living()
        rows = connection.execute(select(schema.leases.c.id, schema.leases.c.process)).all()
        ended = [lease for lease, process in rows if process not in living or lease in over]
        _end_leases(connection, ended)
        return bool(dead or ended)

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


def _end_leases(connection: Connection, lease_ids: Collection[str]) -> None:
    blobs, leases = schema.leased_blobs, schema.leases
    connection.execute(delete(blobs).where(blobs.c.lease_id.in_(lease_ids)))
    connection.execute(delete(leases).where(leases.c.id.in_(lease_ids)))
