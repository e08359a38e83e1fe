"""Events of containers, as dockerd tells them."""

from lamina.containers.stored import settings_of
from lamina.records.changes import AddEvent
from lamina.records.containers import Container

__all__ = ["container_event"]


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
