"""Volumes, as the Engine API tells of them."""

import msgspec

from lamina.models.base import Model


class VolumeUsage(Model, kw_only=True):
    """How many containers have a volume, and its bytes; -1 for what is not known."""

    ref_count: int = -1
    size: int = -1


class Volume(Model, kw_only=True):
    """A volume (schema Volume). `created_at` is RFC 3339; its usage is told with the disk's."""

    created_at: str = ""
    driver: str = "local"
    labels: dict[str, str] | None = None
    mountpoint: str = ""
    name: str = ""
    options: dict[str, str] | None = None
    scope: str = "local"
    usage_data: VolumeUsage | msgspec.UnsetType | None = msgspec.UNSET


class VolumeListResponse(Model, kw_only=True):
    """``GET /volumes``."""

    volumes: list[Volume] = msgspec.field(default_factory=list)
    warnings: list[str] | None = None
