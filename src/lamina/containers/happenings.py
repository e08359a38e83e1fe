"""Events of containers, as dockerd tells them."""

from collections.abc import Mapping

from lamina.containers.stored import settings_of
from lamina.records.changes import AddEvent
from lamina.records.containers import Container
from lamina.runtime.supervisor import Exit

__all__ = ["container_event", "end_of_process"]


def container_event(container: Container, action: str, time: int, **more: str) -> AddEvent:
    """Something happened to a container at `time` (unix nanoseconds); `more` are attributes."""
    attributes = {
        **container.labels,
        "image": settings_of(container).image,
        "name": container.name,
        **more,
    }
    return AddEvent(
        time=time, type="container", action=action, actor_id=container.id, attributes=attributes
    )


def end_of_process(started: int, ended: Exit) -> list[tuple[str, Mapping[str, str]]]:
    """What is told of the end of a container's first process, which began at `started`."""
    seconds = max(0, ended.time - started) // 1_000_000_000
    oom: list[tuple[str, Mapping[str, str]]] = [("oom", {})] if ended.oom_killed else []
    return [*oom, ("die", {"execDuration": str(seconds), "exitCode": str(ended.code)})]
