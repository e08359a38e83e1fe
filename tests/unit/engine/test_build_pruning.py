import itertools
import re
from pathlib import Path

import pytest

from lamina.build.cache_mounts import CacheMounts, CacheWish
from lamina.engine.build_pruning import build_cache, prune_build_cache
from lamina.errors import InvalidFilter, InvalidParameter
from lamina.image_api import Filters

HOUR = 3600 * 10**9


@pytest.fixture
async def caches(tmp_path: Path) -> CacheMounts:
    """Three caches of 10 bytes, last used at one, two and three hours."""
    moments = itertools.chain.from_iterable((n * HOUR, n * HOUR) for n in itertools.count(1))
    caches = CacheMounts(tmp_path, now=lambda: next(moments))
    for name in "abc":
        async with caches.held(CacheWish(name=name, description=f"cache {name}")) as path:
            (path / "x").write_bytes(b"x" * 10)
    return caches


async def left(caches: CacheMounts) -> str:
    return "".join(entry.record.name for entry in await caches.entries())


async def test_how_it_is_listed(caches: CacheMounts) -> None:
    first, *_ = await build_cache(caches)
    assert (first.type, first.description, first.size) == ("exec.cachemount", "cache a", 10)
    assert (first.created_at, first.usage_count) == ("1970-01-01T01:00:00Z", 1)
    assert first.last_used_at == "1970-01-01T01:00:00Z"


async def test_everything_goes(caches: CacheMounts) -> None:
    ids = [entry.id for entry in await caches.entries()]
    pruned = await prune_build_cache(caches, keep_storage=0, filters=None, now=5 * HOUR)
    assert (pruned.caches_deleted, pruned.space_reclaimed) == (ids, 30)
    pruned = await prune_build_cache(caches, keep_storage=0, filters=None, now=5 * HOUR)
    assert (pruned.caches_deleted, pruned.space_reclaimed) == (None, 0)


async def test_so_much_is_kept(caches: CacheMounts) -> None:
    pruned = await prune_build_cache(caches, keep_storage=15, filters=None, now=5 * HOUR)
    assert pruned.space_reclaimed == 20
    assert await left(caches) == "c"


@pytest.mark.parametrize(
    ("filters", "remaining"),
    [
        ({"until": "150m"}, "c"),
        ({"unused-for": "210m"}, "bc"),
        ({"id": "^$"}, "abc"),
        ({"id": ""}, ""),
        ({"id": "^[0-9a-f]+$"}, ""),
        # An engine that goes back over the text would be at this for ever.
        ({"id": "([0-9a-f]+)+z"}, "abc"),
        ({"type": "exec.cachemount"}, ""),
        ({"type": "regular"}, "abc"),
        ({"description": "cache b"}, "ac"),
        ({"parent": "x"}, "abc"),
        ({"inuse": True}, "abc"),
        ({"inuse": False}, ""),
        ({"shared": True}, "abc"),
        ({"private": True}, ""),
        ({"label": ["x", "y"]}, "abc"),
        ({"label!": "x"}, ""),
    ],
)
async def test_filters(caches: CacheMounts, filters: Filters, remaining: str) -> None:
    # Five hours are over: they were used four, three and two hours ago.
    await prune_build_cache(caches, keep_storage=0, filters=filters, now=5 * HOUR)
    assert await left(caches) == remaining


async def test_one_goes_by_its_id(caches: CacheMounts) -> None:
    _, second, _ = await caches.entries()
    for wanted in (f"^{second.id[:9]}", second.id):
        await prune_build_cache(caches, keep_storage=0, filters={"id": wanted}, now=5 * HOUR)
        assert await left(caches) == "ac"


async def test_what_is_in_use_stays(caches: CacheMounts) -> None:
    async with caches.held(CacheWish(name="b", description="")):
        pruned = await prune_build_cache(caches, keep_storage=0, filters=None, now=5 * HOUR)
        assert pruned.space_reclaimed == 20
        [entry] = await build_cache(caches)
        assert entry.in_use


@pytest.mark.parametrize(
    ("filters", "error", "message"),
    [
        ({"x": "y"}, InvalidFilter, "invalid filter 'x'"),
        ({"until": "1h", "unused-for": "1h"}, InvalidParameter, "conflicting filters"),
        ({"type": ["a", "b"]}, InvalidParameter, "filters expect only one value"),
        ({"until": "soon"}, InvalidParameter, "failed to parse value as time or duration"),
    ],
)
async def test_mistakes(
    caches: CacheMounts, filters: Filters, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        await prune_build_cache(caches, keep_storage=0, filters=filters, now=0)
