"""Containers, as the records keep them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from lamina.errors import ContainerNotFound, InvalidParameter
from lamina.oci.digest import Digest

__all__ = ["RUNNING", "Container", "find_container"]

RUNNING: Final = frozenset({"running", "paused", "restarting"})
"""The statuses in which a container has, or is about to have, a process."""


@dataclass(frozen=True, slots=True)
class Container:
    """What a container is, and what it is doing."""

    id: str
    """64 hexadecimal digits."""
    name: str
    """Without a slash."""
    image_id: Digest | None
    """None where there is nothing below its files: the step of a build upon nothing."""
    created: int
    """Unix nanoseconds."""
    status: str
    """created, running, paused, restarting, removing, exited or dead."""
    process: str
    """The process that runs it (`Records.process`); empty if it does not run."""
    snapshot: str
    """The key of its root filesystem."""
    diff_ids: tuple[Digest, ...]
    """The layers below that, which stay as long as the container does."""
    labels: Mapping[str, str]
    settings: str
    """How it was made, and never changes but by an update, as JSON (`lamina.containers`)."""
    state: str
    """What has become of it, as JSON."""

    @property
    def is_running(self) -> bool:
        """Whether it has, or is about to have, a process."""
        return self.status in RUNNING

    @property
    def has_process(self) -> bool:
        """Whether it has one: not so while it waits to be started again."""
        return self.status in {"running", "paused"}


def find_container(
    containers: Mapping[str, Container], names: Mapping[str, str], name: str
) -> Container:
    """The container that a full ID, a name, or the beginning of an ID means; `names` leads to IDs.

    ContainerNotFound; InvalidParameter if several IDs begin so.
    """
    found = containers.get(name) or containers.get(names.get(name.removeprefix("/"), ""))
    if found is not None:
        return found
    matches = _with_prefix(containers.values(), name)
    if not matches:
        raise ContainerNotFound(name)
    if len(matches) > 1:
        raise InvalidParameter(f"Multiple IDs found with provided prefix: {name}")
    return matches[0]


def _with_prefix(containers: Iterable[Container], prefix: str) -> list[Container]:
    return [container for container in containers if prefix and container.id.startswith(prefix)]
