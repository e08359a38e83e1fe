"""Times and ages for people, as Docker's tools word them."""

import contextlib
from datetime import UTC, datetime

from lamina.units import human_duration

_FIRST, _LAST = -62_135_596_800, 253_402_300_799
"""The seconds with which the years 1 and 9999 begin and end."""


def age(created: int, now: float) -> str:
    """How long ago a unix time was, as of `now`; ``N/A`` for no time."""
    return "N/A" if is_no_time(created) else f"{human_duration(now - created)} ago"


def is_no_time(created: int) -> bool:
    """Whether a unix time is Go's zero time, or before there was unix."""
    return created <= 0


def local_time(created: int) -> str:
    """A unix time in the local zone as Go prints times: ``2026-11-23 23:02:52 +0000 UTC``."""
    time, offset, zone = _local(created)
    return f"{time.replace('T', ' ')} {offset.replace(':', '')} {zone}"


def rfc3339(created: int) -> str:
    """A unix time in the local zone: ``2026-11-23T23:02:52Z``."""
    time, offset, _ = _local(created)
    return f"{time}{_zoned(offset)}"


def rfc3339_nano(nanoseconds: int) -> str:
    """Unix nanoseconds in the local zone, always with nine digits of fraction."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    time, offset, _ = _local(seconds)
    return f"{time}.{rest:09d}{_zoned(offset)}"


def calendar_time(seconds: int) -> datetime:
    """A unix time in UTC; of what lies beyond the calendar, the calendar's end."""
    return datetime.fromtimestamp(min(max(seconds, _FIRST), _LAST), UTC)


def _local(created: int) -> tuple[str, str, str]:
    """A unix time in the local zone, its offset (``+01:00``) and its name."""
    moment = calendar_time(created)
    # Where it would be in a year that the calendar does not have, it stays as it is.
    with contextlib.suppress(OverflowError):
        moment = moment.astimezone()
    text = moment.isoformat(timespec="seconds")
    # Before there were zones, places were seconds apart; Go leaves those away.
    return text[:19], text[19:25], moment.tzname() or ""


def _zoned(offset: str) -> str:
    return "Z" if offset == "+00:00" else offset
