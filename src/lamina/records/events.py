"""Events that were kept: the latest of the root, whichever process they happened in."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select

from lamina.records import schema

KEPT = 256
"""How many events are kept for replay, as many as dockerd keeps."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; `time` in unix nanoseconds, `sequence` grows with every event."""

    sequence: int
    time: int
    type: str
    action: str
    actor_id: str
    attributes: dict[str, str]


def events_after(connection: Connection, sequence: int) -> list[Event]:
    """The kept events that are newer than `sequence`, oldest first."""
    rows = schema.events
    query = select(rows).where(rows.c.sequence > sequence).order_by(rows.c.sequence)
    return [Event(*row) for row in connection.execute(query)]


def last_sequence(connection: Connection) -> int:
    """The sequence number of the newest event, 0 if there is none."""
    return connection.execute(select(func.max(schema.events.c.sequence))).scalar() or 0


def forget_old(connection: Connection, newest: int) -> None:
    """Drop the events that are no longer kept once `newest` exists."""
    rows = schema.events
    connection.execute(delete(rows).where(rows.c.sequence <= newest - KEPT))
