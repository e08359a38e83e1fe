"""`system_events`: what happened and what happens, from every process that uses the root."""

from collections.abc import AsyncGenerator, Callable, Mapping
from functools import partial

import msgspec

from lamina.engine.filters import FilterSet, parse_time
from lamina.errors import InvalidParameter, InvalidReference
from lamina.image_api import Filters
from lamina.models import EventActor, EventMessage
from lamina.oci.reference import Reference
from lamina.records.events import Event, events_after, last_sequence
from lamina.records.records import Records

_ACCEPTED = (
    "config",
    "container",
    "daemon",
    "event",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
)
_POLL_INTERVAL = 0.5
"""Seconds until an event of another process is seen; those of our own are seen at once."""


async def watch_events(
    records: Records, *, since: str, until: str, filters: Filters | None, now: Callable[[], int]
) -> AsyncGenerator[EventMessage, None]:
    """The kept events from `since` on, then new ones until `until`, if it is given.

    `now` gives unix nanoseconds. Raises InvalidParameter (times).
    """
    begin = parse_time(since, now()) if since else None
    end = parse_time(until, now()) if until else None
    if begin is not None and end is not None and begin > end:
        raise InvalidParameter(f"`since` time ({since}) cannot be after `until` time ({until})")
    # dockerd passes over filters that it does not know, here.
    checked = FilterSet.select(filters, _ACCEPTED)
    replay = begin is not None or end is not None
    sequence = 0 if replay else records.read(last_sequence)
    while True:
        ended = end is not None and now() > end
        # Asked before the events, so that what comes between the two is not waited for.
        generation = records.catalogue.generation
        for event in records.read(partial(events_after, sequence=sequence)):
            sequence = event.sequence
            if begin is not None and event.time < begin:
                continue
            if end is not None and event.time > end:
                return
            if _is_wanted(event, checked):
                yield _message(event)
        if ended:
            return
        remaining = _POLL_INTERVAL if end is None else (end - now()) / 1e9 + 0.001
        await records.wait_for_change(generation, at_most=max(0.0, min(_POLL_INTERVAL, remaining)))


def _message(event: Event) -> EventMessage:
    is_container = event.type == "container"
    return EventMessage(
        status=event.action if event.type in ("image", "container") else msgspec.UNSET,
        id=event.actor_id
        if event.type in ("image", "container") and event.actor_id
        else msgspec.UNSET,
        from_=event.attributes.get("image", "") if is_container else msgspec.UNSET,
        type=event.type,
        action=event.action,
        actor=EventActor(id=event.actor_id, attributes=event.attributes),
        time=event.time // 1_000_000_000,
        time_nano=event.time,
    )


def _is_wanted(event: Event, filters: FilterSet) -> bool:
    return (
        _matches(filters, "event", event.action)
        and _matches(filters, "type", event.type)
        and _matches(filters, "scope", "local")
        and filters.matches_labels(event.attributes)
        and _matches_image(event, filters)
        and all(
            _matches_actor(event, filters, kind)
            for kind in filters.values
            if kind not in ("event", "type", "scope", "label", "image")
        )
    )


def _matches(filters: FilterSet, name: str, value: str) -> bool:
    # `health_status: healthy` is matched by `health_status` too.
    return name not in filters or any(
        value == wanted or value.startswith(f"{wanted}:") for wanted in filters[name]
    )


def _matches_actor(event: Event, filters: FilterSet, kind: str) -> bool:
    """A filter named like a type wants events of that type about one object.

    It is the beginning of its ID or of its name.
    """
    known = (event.actor_id, event.attributes.get("name", ""))
    return event.type == kind and any(
        text.startswith(wanted) for text in known for wanted in filters[kind]
    )


def _matches_image(event: Event, filters: FilterSet) -> bool:
    """The filter ``image`` takes an ID or a name, with or without tag."""
    if "image" not in filters:
        return True
    names: Mapping[str, str] = event.attributes
    attribute = "name" if event.type == "image" else "image"
    known = {event.actor_id, names.get(attribute, "")}
    known |= {_without_tag(text) for text in known}
    return any(wanted in known for wanted in filters["image"])


def _without_tag(text: str) -> str:
    try:
        return Reference.parse(text).familiar_name
    except InvalidReference:
        return text
