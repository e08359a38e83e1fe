"""`container_list`: which containers are shown."""

from collections.abc import Callable, Iterable
from typing import Final

from lamina.containers.describing import summarize
from lamina.containers.live import HealthState
from lamina.containers.stored import settings_of, state_of
from lamina.dockerfile.gostrings import parse_int
from lamina.dockerfile.source import DockerfileError
from lamina.engine.filters import FilterSet
from lamina.errors import ImageNotFound, InvalidFilter, InvalidParameter
from lamina.image_api import Filters
from lamina.models import ContainerSummary
from lamina.oci.digest import Digest
from lamina.records.catalogue import Catalogue
from lamina.records.containers import Container, find_container
from lamina.records.lookup import find_image

__all__ = ["list_containers"]

# `isolation` means something on Windows only: here it lets all through, as in dockerd.
_ACCEPTED: Final = (
    "ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label",
    "name", "network", "publish", "since", "status", "volume",
)  # fmt: skip
_STATUSES: Final = ("created", "dead", "exited", "paused", "removing", "restarting", "running")
_HEALTH: Final = ("healthy", "none", "starting", "unhealthy")


def list_containers(
    catalogue: Catalogue,
    *,
    all_containers: bool,
    limit: int,
    filters: Filters | None,
    now: int,
    health: Callable[[Container], HealthState | None],
    engine_id: str,
) -> list[ContainerSummary]:
    """The containers that `filters` let through, newest first; `health` knows how they are.

    Raises InvalidFilter, ContainerNotFound (before, since).
    """
    checked = FilterSet.check(filters, _ACCEPTED)
    wanted = _Wanted(catalogue, checked, health)
    everything = all_containers or limit > 0 or wanted.asks_for_ended
    found = sorted(catalogue.containers.values(), key=lambda each: (-each.created, each.id))
    chosen = [each for each in found if (everything or each.is_running) and wanted(each)]
    if limit > 0:
        chosen = chosen[:limit]
    return [summarize(catalogue, each, now, health(each), engine_id=engine_id) for each in chosen]


class _Wanted:
    """The filters of one call, each looked at once."""

    def __init__(
        self,
        catalogue: Catalogue,
        filters: FilterSet,
        health: Callable[[Container], HealthState | None],
    ) -> None:
        self._catalogue = catalogue
        self._health = health
        self._filters = filters
        self._exited = {_number("exited", text) for text in filters["exited"]}
        for status in filters["status"]:
            if status not in _STATUSES:
                raise InvalidFilter(f"invalid filter 'status={status}'", name="status")
        for status in filters["health"]:
            if status not in _HEALTH:
                raise InvalidParameter(f"Unrecognised filter value for health: {status}")
        self.asks_for_ended = bool(
            self._exited or "status" in filters or "before" in filters or "since" in filters
        )
        self._before = min((self._age(name) for name in filters["before"]), default=None)
        self._since = max((self._age(name) for name in filters["since"]), default=None)
        self._ancestors = self._images_of(filters["ancestor"])
        self._is_task = filters.boolean("is-task", default=False)

    def __call__(self, container: Container) -> bool:
        filters = self._filters
        state = state_of(container)
        return (
            (not self._exited or (container.status == "exited" and state.exit_code in self._exited))
            and ("status" not in filters or container.status in filters["status"])
            and (self._before is None or container.created < self._before)
            and (self._since is None or container.created > self._since)
            and ("id" not in filters or any(container.id.startswith(p) for p in filters["id"]))
            and any(filters.finds("name", f"{slash}{container.name}") for slash in ("", "/"))
            and ("ancestor" not in filters or container.image_id in self._ancestors)
            and filters.matches_labels(container.labels)
            and not self._is_task
            and self._matches_settings(container)
        )

    def _matches_settings(self, container: Container) -> bool:
        filters, settings = self._filters, settings_of(container)
        mode = settings.host_config.network_mode
        network = "bridge" if mode == "default" else mode
        exposed = settings.config.exposed_ports
        places = {mount.destination for mount in settings.mounts}
        places |= {str(mount.name) for mount in settings.mounts if mount.name}
        return (
            ("network" not in filters or network in filters["network"])
            and ("volume" not in filters or any(p in places for p in filters["volume"]))
            and ("expose" not in filters or any(_port(p) in exposed for p in filters["expose"]))
            and "publish" not in filters
            and ("health" not in filters or self._health_of(container) in filters["health"])
        )

    def _health_of(self, container: Container) -> str:
        known = self._health(container)
        return "none" if known is None else known.status

    def _age(self, name: str) -> int:
        known = self._catalogue
        return find_container(known.containers, known.container_names, name).created

    def _images_of(self, names: Iterable[str]) -> set[Digest]:
        """The images of those names, and all that were made of them."""
        found: set[Digest] = set()
        for name in names:
            try:
                waiting = [find_image(self._catalogue, name).id]
            except (ImageNotFound, InvalidParameter):
                continue
            while waiting:
                image_id = waiting.pop()
                if image_id not in found:
                    found.add(image_id)
                    waiting += self._catalogue.children(image_id)
        return found


def _number(name: str, text: str) -> int:
    try:
        return parse_int(text, bits=64)
    except DockerfileError:
        raise InvalidFilter(f"invalid filter '{name}={text}'", name=name) from None


def _port(text: str) -> str:
    return text if "/" in text else f"{text}/tcp"
