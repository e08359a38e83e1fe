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
    users = sorted(_users(containers).items(), key=lambda item: (item[1][0].created, item[0]))
    return [
        _volume(containers, name, having)
        for name, having in users
        if checked.finds("name", name)
        and "local" in (checked["driver"] or ("local",))
        and checked.matches_labels(None)
    ]


def find_volume(containers: Containers, name: str) -> Volume:
    """The volume of that name. Raises NotFound."""
    users = _users(containers).get(name)
    if not users:
        raise NotFound(f"get {name}: no such volume")
    return _volume(containers, name, users)


async def with_usage(containers: Containers) -> list[Volume]:
    """All volumes, with how many containers have them and what they take up."""
    users = _users(containers)
    return [
        msgspec.structs.replace(
            volume,
            usage_data=VolumeUsage(
                ref_count=len(users.get(volume.name, ())),
                size=await asyncio.to_thread(size_below, Path(volume.mountpoint)),
            ),
        )
        for volume in list_volumes(containers, None)
    ]


def _users(containers: Containers) -> dict[str, list[Container]]:
    """The containers that have each volume, first that whose own it is."""
    found: dict[str, list[Container]] = defaultdict(list)
    for container in containers.records.catalogue.containers.values():
        settings = settings_of(container)
        for mount in settings.mounts:
            if mount.type == "volume":
                name = str(mount.name)
                at = 0 if name in settings.anonymous else len(found[name])
                found[name].insert(at, container)
    return found


def _volume(containers: Containers, name: str, users: list[Container]) -> Volume:
    return Volume(
        name=name,
        # To the second, as dockerd tells it.
        created_at=format_unix(users[0].created // _SECOND * _SECOND),
        mountpoint=str(containers.volumes.data(name)),
    )
