"""`container_prune`: all containers that do not run are removed."""

from typing import Final

from lamina.containers.containers import Containers
from lamina.containers.removal import remove_container
from lamina.engine.filters import FilterSet, prunable
from lamina.engine.pruning import prune_event
from lamina.errors import Conflict, LaminaError, NotFound
from lamina.image_api import Filters
from lamina.models import ContainerPruneResponse

__all__ = ["prune_containers"]

_FILTERS: Final = ("label", "label!", "until")


async def prune_containers(
    containers: Containers, filters: Filters | None
) -> ContainerPruneResponse:
    """Remove those that the filters let through. Raises InvalidFilter, InvalidParameter."""
    wanted = prunable(FilterSet.check(filters, _FILTERS), containers.now())
    removed, freed = [], 0
    for container in list(containers.records.catalogue.containers.values()):
        if container.is_running or not wanted(container.created, container.labels):
            continue
        try:
            size = await containers.written(container)
            await remove_container(containers, container.id, force=False)
        except (Conflict, NotFound):
            continue  # it was started, or removed, meanwhile
        except (LaminaError, OSError) as error:
            # As in dockerd, the others go all the same.
            containers.parts.logger.warning("container %s: %s", container.id, error)
            continue
        removed.append(container.id)
        freed += size
    event = prune_event("container", freed, containers.now())
    await containers.records.change(lambda transaction: transaction.do(event))
    return ContainerPruneResponse(containers_deleted=removed or None, space_reclaimed=freed)
