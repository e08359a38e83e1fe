import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from lamina.build.cache_mounts import CacheMounts, CacheRecord, CacheWish
from lamina.dockerfile.mounts import Sharing
from tests.unit.layers.test_directories import make_deep


@pytest.fixture
def moments() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture
def caches(tmp_path: Path, moments: Iterator[int]) -> CacheMounts:
    return CacheMounts(tmp_path, now=lambda: next(moments))


def wish(name: str = "a", sharing: Sharing = Sharing.SHARED) -> CacheWish:
    return CacheWish(name=name, description=f"cache {name}", sharing=sharing)


async def test_what_is_in_it_is_there_the_next_time(caches: CacheMounts) -> None:
    async with caches.held(wish()) as path:
        (path / "x").write_bytes(b"12345")
    async with caches.held(wish()) as path:
        assert (path / "x").read_bytes() == b"12345"
    async with caches.held(wish("b")) as other:
        assert list(other.iterdir()) == []
    used_first, used_last = await caches.entries()
    assert (used_first.record.name, used_first.size, used_first.record.uses) == ("a", 5, 2)
    assert (used_last.record.name, used_last.size, used_last.in_use) == ("b", 0, False)


async def test_a_shared_one_is_shared(caches: CacheMounts) -> None:
    async with caches.held(wish()) as one, caches.held(wish()) as two:
        assert one == two
        assert [entry.in_use for entry in await caches.entries()] == [True]


async def test_a_private_one_is_for_one_at_a_time(caches: CacheMounts) -> None:
    private = wish(sharing=Sharing.PRIVATE)
    async with caches.held(private) as one:
        async with caches.held(private) as two:
            assert one != two
        async with caches.held(private) as again:
            assert again == two


async def test_a_locked_one_is_waited_for(caches: CacheMounts) -> None:
    order = []

    async def use(name: str, wanted: CacheWish, source: CacheMounts) -> None:
        async with source.held(wanted):
            order.append(f"{name} in")
            await asyncio.sleep(0)
            order.append(f"{name} out")

    locked = wish(sharing=Sharing.LOCKED)
    # As if of another process: it knows nothing of what the first one holds.
    others = CacheMounts(caches.directory, now=lambda: 1)
    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(use(f"{number}", locked, caches))
            group.create_task(use(f"other {number}", locked, others))
    assert len(order) == 12
    pairs = zip(order[::2], order[1::2], strict=True)
    assert all(entered.replace(" in", " out") == left for entered, left in pairs)


async def test_a_new_one_is_filled_once(caches: CacheMounts) -> None:
    filled = []

    async def fill(path: Path) -> None:
        filled.append(path)
        (path / "seed").write_bytes(b"s")

    for _ in range(2):
        async with caches.held(wish(), fill) as path:
            assert (path / "seed").exists()
    assert len(filled) == 1


async def test_one_whose_filling_failed_is_not_kept(caches: CacheMounts) -> None:
    async def fail(path: Path) -> None:
        (path / "half").write_bytes(b"s")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        async with caches.held(wish(), fail):
            pass
    async with caches.held(wish()) as path:
        assert list(path.iterdir()) == []


async def test_only_what_nobody_uses_is_removed(caches: CacheMounts) -> None:
    async with caches.held(wish()) as path:
        (path / "x").write_bytes(b"12345")
        [entry] = await caches.entries()
        assert await caches.remove(entry.id) is None
    assert await caches.remove(entry.id) == 5
    assert await caches.remove(entry.id) is None
    assert await caches.entries() == []


async def test_it_may_be_deep(caches: CacheMounts) -> None:
    async with caches.held(wish()) as path:
        make_deep(path)
    [entry] = await caches.entries()
    assert await caches.remove(entry.id) == 5
    assert await caches.entries() == []


async def test_it_shrinks_by_what_was_used_longest_ago(caches: CacheMounts) -> None:
    for name in "abca":
        async with caches.held(wish(name)) as path:
            (path / "x").write_bytes(b"x" * 10)
    await caches.shrink(20)
    assert [entry.record.name for entry in await caches.entries()] == ["c", "a"]


async def test_nobody_sees_one_that_is_being_filled(caches: CacheMounts) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def fill(path: Path) -> None:
        begun.set()
        await go_on.wait()
        (path / "seed").write_bytes(b"s")

    async def use(of: CacheMounts) -> tuple[Path, list[str]]:
        async with of.held(wish(), fill) as path:
            return path, [entry.name for entry in path.iterdir()]

    others = CacheMounts(caches.directory, now=lambda: 1)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(use(caches))
        await begun.wait()
        waiting = [group.create_task(use(one)) for one in (caches, others)]
        await others.sweep()
        [entry] = await others.entries()
        assert entry.in_use
        go_on.set()
    assert {path for path, _ in map(asyncio.Task.result, (first, *waiting))} == {
        caches.directory / entry.id / "data"
    }
    assert [seen for _, seen in map(asyncio.Task.result, waiting)] == [["seed"], ["seed"]]
    assert [entry.in_use for entry in await caches.entries()] == [False]


async def test_caches_may_go_while_others_come(caches: CacheMounts) -> None:
    async def fill(path: Path) -> None:
        for number in range(50):
            (path / f"{number}").write_bytes(b"1")

    async def use(of: CacheMounts, name: str) -> None:
        for _ in range(20):
            async with of.held(wish(name), fill) as path:
                assert len(list(path.iterdir())) == 50

    async def remove(of: CacheMounts) -> None:
        while not users.done():
            for entry in await of.entries():
                await of.remove(entry.id)
            await of.sweep()

    others = CacheMounts(caches.directory, now=lambda: 1)
    users = asyncio.gather(*(use(of, name) for of in (caches, others) for name in "ab"))
    await asyncio.gather(users, remove(caches), remove(others))
    await remove(caches)
    for entry in await caches.entries():
        await caches.remove(entry.id)
    assert [path.name for path in caches.directory.iterdir()] == ["lock"]


async def test_what_killed_processes_left_goes_with_the_next_one(caches: CacheMounts) -> None:
    async with caches.held(wish()) as path:
        (path / "x").write_bytes(b"12345")
    [whole] = await caches.entries()

    def leave() -> None:
        half = caches.directory / "half"
        (half / "data").mkdir(parents=True)
        unfilled = caches.directory / "unfilled"
        (unfilled / "data").mkdir(parents=True)
        (unfilled / "lock").touch()
        record = CacheRecord(name="b", description="", created=1, last_used=1, filled=False)
        (unfilled / "record.json").write_bytes(msgspec.json.encode(record))
        (caches.directory / whole.id / "0.tmp").write_bytes(b"{")

    leave()
    async with caches.held(wish("b")) as path:
        assert list(path.iterdir()) == []
    assert {entry.record.name for entry in await caches.entries()} == {"a", "b"}
    leave()
    await caches.sweep()
    assert {entry.record.name for entry in await caches.entries()} == {"a", "b"}
    assert not list(caches.directory.glob("*/*.tmp"))
    assert {path.name for path in caches.directory.iterdir()} == {
        *(entry.id for entry in await caches.entries()),
        "lock",
    }


async def test_who_is_cancelled_holds_nothing(caches: CacheMounts) -> None:
    locked = wish(sharing=Sharing.LOCKED)
    using = asyncio.Event()

    async def use() -> None:
        async with caches.held(locked):
            using.set()

    # Cancelled in any of the moments until it has it.
    for moments in range(6):
        task = asyncio.create_task(use())
        for _ in range(moments):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
    async with asyncio.timeout(10):
        await use()
    assert using.is_set()


async def test_what_cannot_be_removed_is_in_nobodys_way(caches: CacheMounts) -> None:
    odd = caches.directory / "odd"
    (odd / "record.json" / "x").mkdir(parents=True)
    (odd / "lock").touch()
    await caches.sweep()
    async with caches.held(wish()) as path:
        (path / "a").touch()
    assert len(await caches.entries()) == 1
