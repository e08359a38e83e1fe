import asyncio
from pathlib import Path

import pytest

from lamina.oci.digest import Digest
from lamina.records.catalogue import Catalogue, Layer, Tag
from lamina.records.changes import (
    AddEvent,
    PutImage,
    PutLayer,
    PutTag,
    RemoveImage,
    RemoveTag,
)
from lamina.records.events import KEPT, events_after, last_sequence
from lamina.records.records import Records, Transaction
from tests.unit.engine.root_files import look_at, open_files
from tests.unit.records.records_in import digest, make_image, make_layer, put_blob, records_in

NAME = "docker.io/library/a"


def put_image(transaction: Transaction, name: str) -> None:
    layer = make_layer(f"layer of {name}")
    image = make_image(name, layer)
    transaction.do(PutLayer(layer))
    transaction.do(PutImage(image))
    transaction.do(PutTag(NAME, "1", Tag(image.id, None)))


def remove_image(transaction: Transaction, name: str) -> None:
    transaction.do(RemoveTag(NAME, "1"))
    transaction.do(RemoveImage(digest(name)))


async def put(records: Records, name: str) -> None:
    await records.change(lambda transaction: put_image(transaction, name))


async def test_every_user_of_a_root_sees_the_latest(tmp_path: Path) -> None:
    async with records_in(tmp_path) as first, records_in(tmp_path) as second:
        await put(first, "x")
        assert digest("x") in second.catalogue.images
        await second.change(lambda transaction: remove_image(transaction, "x"))
        assert digest("x") not in first.catalogue.images
        await put(first, "y")
        assert first.catalogue.tags == second.catalogue.tags
    async with records_in(tmp_path) as later:
        assert set(later.catalogue.images) == {digest("y")}


async def test_only_what_must_be_waits_for_the_disk(tmp_path: Path) -> None:
    def setting(transaction: Transaction) -> str:
        value = transaction.connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
        return {1: "NORMAL", 2: "FULL"}[value]

    async with records_in(tmp_path) as records:
        for durable in (True, False, False, True):
            expected = "FULL" if durable else "NORMAL"
            assert await records.change(setting, durable=durable) == expected
        async with records.lease() as lease:
            assert await lease.claim(lambda _: ("leased", ())) == "leased"
        assert await records.change(setting) == "FULL"


async def test_a_change_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(transaction: Transaction) -> None:
        put_image(transaction, "x")
        raise LookupError("x")

    async with records_in(tmp_path) as records:
        with pytest.raises(LookupError):
            await records.change(fail)
        assert records.catalogue.images == {}
        await put(records, "y")
        assert set(records.catalogue.images) == {digest("y")}
    async with records_in(tmp_path) as later:
        assert set(later.catalogue.images) == {digest("y")}


async def test_changes_at_once_happen_one_after_the_other(tmp_path: Path) -> None:
    async with records_in(tmp_path) as first, records_in(tmp_path) as second:
        users = [first, second] * 10
        await asyncio.gather(*(put(user, str(number)) for number, user in enumerate(users)))
        assert set(first.catalogue.images) == {digest(str(number)) for number in range(20)}
        assert first.catalogue.generation == second.catalogue.generation == 20


async def test_whoever_is_cancelled_leaves_the_change_to_end(tmp_path: Path) -> None:
    async with records_in(tmp_path) as records:
        task = asyncio.create_task(put(records, "x"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    # Closing waited for it.
    async with records_in(tmp_path) as later:
        assert set(later.catalogue.images) == {digest("x")}


async def test_a_failure_that_nobody_waits_for_is_written_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Transaction) -> None:
        raise OSError("the disk is broken")

    async with records_in(tmp_path) as records:
        task = asyncio.create_task(records.change(fail))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(OSError, match="the disk is broken"):
            await records.change(fail)
    assert [record.getMessage() for record in caplog.records] == [
        "work whose caller has gone failed"
    ]
    assert "the disk is broken" in caplog.text


@pytest.mark.parametrize("steps", range(9))
async def test_a_lease_ends_wherever_its_owner_is_cancelled(tmp_path: Path, steps: int) -> None:
    async def hold(records: Records) -> None:
        async with records.lease() as lease:
            await lease.protect(digest("x"))
            await asyncio.Event().wait()

    async with records_in(tmp_path) as records:
        task = asyncio.create_task(hold(records))
        for _ in range(3**steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
    assert look_at(tmp_path).leases == 0


async def test_a_lease_protects_until_it_ends(tmp_path: Path) -> None:
    async with records_in(tmp_path) as first, records_in(tmp_path) as second:
        async with first.lease() as lease:
            await lease.protect(Digest.of(b"data"))
            blob = await put_blob(tmp_path, b"data")
            assert await second.sweep() == 0
            assert await second.sweep(frozenset((blob,))) == 0
            assert look_at(tmp_path).blobs == {str(blob)}
        assert await second.sweep() == len(b"data")
        assert look_at(tmp_path).blobs == frozenset()


async def test_what_is_claimed_stays_when_its_record_goes(tmp_path: Path) -> None:
    blob = await put_blob(tmp_path, b"layer of x")

    def find(catalogue: Catalogue) -> tuple[Layer, list[Digest]]:
        layer = catalogue.layers[digest("layer of x")]
        return layer, [held.digest for held in layer.blobs]

    async with records_in(tmp_path) as records:
        await put(records, "x")
        async with records.lease() as lease:
            layer = await lease.claim(find)
            await records.change(lambda transaction: remove_image(transaction, "x"))
            await records.sweep()
            assert records.catalogue.layers == {}
            assert look_at(tmp_path).blobs == {str(blob)}
            await records.change(lambda transaction: transaction.do(PutLayer(layer)))
        assert look_at(tmp_path).missing == frozenset()


async def test_what_cannot_be_claimed_raises(tmp_path: Path) -> None:
    async with records_in(tmp_path) as records, records.lease() as lease:
        with pytest.raises(KeyError):
            await lease.claim(lambda catalogue: (catalogue.images[digest("x")], ()))


async def test_a_sweep_of_some_leaves_the_rest(tmp_path: Path) -> None:
    async with records_in(tmp_path) as records:
        one, other = await put_blob(tmp_path, b"one"), await put_blob(tmp_path, b"other")
        assert await records.sweep(frozenset((one, digest("not there")))) == 3
        assert look_at(tmp_path).blobs == {str(other)}


async def test_waiting_for_a_change(tmp_path: Path) -> None:
    async with records_in(tmp_path) as records:
        seen = records.catalogue.generation
        waiting = asyncio.create_task(records.wait_for_change(seen, at_most=3600))
        await asyncio.sleep(0)
        assert not waiting.done()
        await put(records, "x")
        await waiting
        # One that came before is not waited for.
        await records.wait_for_change(seen, at_most=3600)
        await records.wait_for_change(seen + 1, at_most=0)


async def test_the_latest_events_are_kept(tmp_path: Path) -> None:
    def tell(transaction: Transaction) -> None:
        for number in range(1000):
            transaction.do(AddEvent(number, "image", "tag", "x", {"name": str(number)}))

    async with records_in(tmp_path) as records:
        assert records.read(last_sequence) == 0
        await records.change(tell)
        events = records.read(lambda connection: events_after(connection, 0))
        assert [event.time for event in events] == list(range(1000 - len(events), 1000))
        assert KEPT <= len(events) < KEPT * 5 // 4 + 1
        assert records.read(last_sequence) == events[-1].sequence
        later = records.read(lambda connection: events_after(connection, events[-2].sequence))
        assert later == events[-1:]


async def test_an_id_of_its_own_and_nothing_left_open(tmp_path: Path) -> None:
    before = open_files()
    async with records_in(tmp_path / "a") as first, records_in(tmp_path / "b") as second:
        assert first.engine_id != second.engine_id
        kept = first.engine_id
    async with records_in(tmp_path / "a") as again:
        assert again.engine_id == kept
    assert open_files() - before == set()
