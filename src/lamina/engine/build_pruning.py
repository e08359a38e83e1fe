"""What builds keep beside images: how it is listed, and how it goes.

That is the contents of cache mounts. The images of steps, which builds take their steps from, are
images like others and go with `image_prune`.
"""

from collections.abc import Callable
from typing import Final

from lamina.build.cache_mounts import CacheEntry, CacheMounts
from lamina.engine.filters import FilterSet, parse_time
from lamina.errors import InvalidFilter, InvalidParameter
from lamina.image_api import Filters
from lamina.models import BuildCache, BuildPruneResponse
from lamina.oci.timestamp import format_unix

_TYPE: Final = "exec.cachemount"
_FIELDS: Final = ("id", "parent", "type", "description", "inuse", "shared", "private")
_LABELS: Final = ("label", "label!")
"""``docker system prune`` sends its filters here too. Nothing that is kept has a label."""
_FILTERS: Final = ("until", "unused-for", *_LABELS, *_FIELDS)
_FAILED: Final = "failed to prune build cache"

Condition = Callable[[CacheEntry], bool]


async def build_cache(caches: CacheMounts) -> list[BuildCache]:
    """All that is kept, as ``/system/df`` lists it."""
    return [
        BuildCache(
            id=entry.id,
            parents=[],
            type=_TYPE,
            description=entry.record.description,
            in_use=entry.in_use,
            size=entry.size,
            created_at=format_unix(entry.record.created),
            last_used_at=format_unix(entry.record.last_used),
            usage_count=entry.record.uses,
        )
        for entry in await caches.entries()
    ]


async def prune_build_cache(
    caches: CacheMounts, *, keep_storage: int, filters: Filters | None, now: int
) -> BuildPruneResponse:
    """Remove what was used longest ago, until `keep_storage` bytes are left.

    Raises InvalidFilter, InvalidParameter.
    """
    try:
        wanted = _condition(filters, now)
    except InvalidFilter as error:
        raise InvalidFilter(f"{_FAILED}: {error}", name=error.name) from None
    except InvalidParameter as error:
        raise InvalidParameter(f"{_FAILED}: {error}") from None
    entries = await caches.entries()
    total = sum(entry.size for entry in entries)
    removed = []
    freed = 0
    for entry in entries:
        if total - freed <= keep_storage and keep_storage:
            break
        if not wanted(entry):
            continue
        size = await caches.remove(entry.id)
        if size is not None:
            removed.append(entry.id)
            freed += size
    return BuildPruneResponse(caches_deleted=removed or None, space_reclaimed=freed)


def _condition(filters: Filters | None, now: int) -> Condition:
    checked = FilterSet.check(filters, _FILTERS)
    if "until" in checked and "unused-for" in checked:
        raise InvalidParameter('conflicting filters: "until" and "unused-for"')
    for name in _FILTERS:
        if name not in _LABELS and len(checked[name]) > 1:
            raise InvalidParameter("filters expect only one value")
    since = _since(checked, now)

    def wanted(entry: CacheEntry) -> bool:
        told = {
            "parent": "",
            "type": _TYPE,
            "description": entry.record.description,
            "inuse": str(entry.in_use).lower(),
            "shared": "false",
            "private": "true",
        }
        return (
            not checked["label"]
            and (since is None or entry.record.last_used <= since)
            and checked.finds("id", entry.id)
            and all(_agrees(value, checked[name]) for name, value in told.items())
        )

    return wanted


def _since(checked: FilterSet, now: int) -> int | None:
    """Before when something must have been used last, in unix nanoseconds."""
    texts = checked["until"] or checked["unused-for"]
    return parse_time(texts[0], now) if texts else None


def _agrees(value: str, asked: tuple[str, ...]) -> bool:
    """Whether a field has the value that is asked for; one asked for without a value must be so."""
    return all(value == (text or "true") for text in asked)
