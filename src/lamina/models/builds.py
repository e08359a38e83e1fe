"""Builds and their cache, as the Engine API tells of them."""

import msgspec

from lamina.models.base import Model


class BuildPruneResponse(Model, kw_only=True):
    """``POST /build/prune``; ``caches_deleted`` is None if nothing was pruned."""

    caches_deleted: list[str] | None = None
    space_reclaimed: int = 0


class BuildCache(Model, kw_only=True):
    """One record of the build cache, as ``GET /system/df`` lists it (schema BuildCache). Bytes."""

    id: str = msgspec.field(name="ID")
    parent: str | msgspec.UnsetType = msgspec.UNSET
    """In place of `parents` before API 1.42."""
    parents: list[str] | msgspec.UnsetType = msgspec.UNSET
    type: str
    description: str = ""
    in_use: bool = False
    shared: bool = False
    size: int = 0
    created_at: str
    last_used_at: str | None = None
    usage_count: int = 0


class ImageBuildOutput(Model, kw_only=True):
    """Where a build's result is to go: one of the parameter ``outputs``."""

    type: str
    attrs: dict[str, str] | None = None
