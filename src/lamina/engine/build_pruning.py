"""`build_prune`: what builds have kept beside images goes."""

from lamina.engine.filters import FilterSet
from lamina.image_api import Filters
from lamina.models import BuildPruneResponse

_FILTERS = (
    *("until", "unused-for", "id", "parent", "type", "description"),
    *("inuse", "shared", "private"),
)


def prune_build_cache(
    *, keep_storage: int, all_types: bool, filters: Filters | None
) -> BuildPruneResponse:
    """Nothing is kept yet. Raises InvalidFilter."""
    del keep_storage, all_types
    FilterSet.check(filters, _FILTERS)
    return BuildPruneResponse()
