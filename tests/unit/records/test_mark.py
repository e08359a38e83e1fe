from pathlib import Path

import pytest

from lamina.records.changes import PutLayer
from lamina.records.mark import Mark
from lamina.records.records import Records
from tests.unit.records.records_in import digest, make_layer, records_in


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mark"


def test_what_one_writes_all_see(path: Path) -> None:
    one, other = Mark(path), Mark(path)
    assert one.is_at(0)
    one.begin(1)
    assert not any(mark.is_at(number) for mark in (one, other) for number in (0, 1))
    one.end(1)
    assert one.is_at(1)
    assert other.is_at(1)
    later = Mark(path)
    assert later.is_at(1)
    assert path.stat().st_size == 16


def test_a_writer_that_is_late_makes_nothing_look_settled(path: Path) -> None:
    first, second = Mark(path), Mark(path)
    first.begin(1)
    second.begin(2)
    first.end(1)
    assert not any(first.is_at(number) for number in (0, 1, 2))
    second.end(2)
    assert first.is_at(2)
    second.begin(3)
    first.begin(4)
    first.end(4)
    second.end(3)
    assert first.is_at(4)
    second.reset(1)
    assert first.is_at(1)


async def put(records: Records, name: str) -> None:
    await records.change(lambda transaction: transaction.do(PutLayer(make_layer(name))))


async def test_who_died_between_commit_and_mark_hides_nothing(tmp_path: Path) -> None:
    async with records_in(tmp_path) as first, records_in(tmp_path) as second:
        await put(first, "x")
        mark = Mark(tmp_path / "lamina.db-mark")
        assert mark.is_at(1)
        # What the next one writes before it dies; that it has committed, it does not.
        mark.begin(2)
        await put(first, "y")
        mark.begin(2)
        mark.end(1)
        assert digest("y") in second.catalogue.layers
        async with records_in(tmp_path):
            assert mark.is_at(2)


async def test_a_mark_of_another_time_is_set_right(tmp_path: Path) -> None:
    async with records_in(tmp_path) as records:
        await put(records, "x")
    mark = Mark(tmp_path / "lamina.db-mark")
    mark.begin(700)
    mark.end(700)
    async with records_in(tmp_path) as records:
        assert digest("x") in records.catalogue.layers
        assert mark.is_at(1)


async def test_leases_are_no_change(tmp_path: Path) -> None:
    async with records_in(tmp_path) as records, records_in(tmp_path) as other:
        await put(records, "x")
        before = other.catalogue
        async with records.lease() as lease:
            await lease.protect(digest("y"))
            assert other.catalogue is before
        assert other.catalogue is before
        assert records.catalogue.generation == 1
