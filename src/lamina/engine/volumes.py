"""The volumes that there are: anonymous ones, each of which lives and dies with a container."""

import asyncio
from collections import defaultdict
from pathlib import Path
from typing import Final

import msgspec

from lamina.containers.containers import Containers
from lamina.containers.stored import settings_of
from lamina.engine.filters import FilterSet
from lamina.errors import NotFound
from lamina.image_api import Filters
from lamina.layers.directories import size_below
from lamina.models import Volume, VolumeUsage
from lamina.oci.timestamp import format_unix
from lamina.records.containers import Container

__all__ = ["find_volume", "list_volumes", "with_usage"]

_FILTERS: Final = ("dangling", "driver", "label", "name")
_SECOND: Final = 1_000_000_000


def list_volumes(containers: Containers, filters: Filters | None) -> list[Volume]:
    """All that the filters let through, oldest first. Raises InvalidFilter."""
    checked = FilterSet.check(filters, _FILTERS)
    # Each has the container that it lives with.
    if checked.boolean("dangling", default=False):
        return []
    return [
        volume
        for volume, _ in _volumes(containers)
        if checked.finds("name", volume.name)
        and volume.driver in (checked["driver"] or (volume.driver,))
        and checked.matches_labels(volume.labels)
    ]


def find_volume(containers: Containers, name: str) -> Volume:
    """The volume of that name. Raises NotFound."""
    for volume, _ in _volumes(containers):
        if volume.name == name:
            return volume
    raise NotFound(f"get {name}: no such volume")


async def with_usage(containers: Containers) -> list[Volume]:
    """All volumes, with how many containers have them and what they take up."""
    return [
        msgspec.structs.replace(
            volume,
            usage_data=VolumeUsage(
                ref_count=count,
                size=await asyncio.to_thread(size_below, Path(volume.mountpoint)),
            ),
        )
        for volume, count in _volumes(containers)
    ]


def _volumes(containers: Containers) -> list[tuple[Volume, int]]:
    """All volumes, oldest first, with the number of containers that have each."""
    users: dict[str, list[Container]] = defaultdict(list)
    for container in containers.records.catalogue.containers.values():
        settings = settings_of(container)
        for name in {str(mount.name) for mount in settings.mounts if mount.type == "volume"}:
            # First the one that it was made for, if that is still there.
            users[name].insert(0 if name in settings.anonymous else len(users[name]), container)
    return [
        (_volume(containers, name, having[0].created), len(having))
        for name, having in sorted(users.items(), key=lambda item: (item[1][0].created, item[0]))
    ]


def _volume(containers: Containers, name: str, created: int) -> Volume:
    return Volume(
        name=name,
        # To the second, as dockerd tells it.
        created_at=format_unix(created // _SECOND * _SECOND),
        mountpoint=str(containers.volumes.data(name)),
    )
