"""Sizes and ages for people, as Docker's tools word them."""

import contextlib
from datetime import UTC, datetime

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")

_FIRST, _LAST = -62_135_596_800, 253_402_300_799
"""The seconds with which the years 1 and 9999 begin and end."""


def human_size(size: float, digits: int = 4) -> str:
    """Bytes in decimal units with so many significant digits: ``1.98MB``."""
    return _scaled(size, 1000.0, _DECIMAL, digits)


def binary_size(size: float) -> str:
    """Bytes in binary units with four significant digits: ``23.54GiB``."""
    return _scaled(size, 1024.0, _BINARY, 4)


def _scaled(size: float, base: float, units: tuple[str, ...], digits: int) -> str:
    unit = 0
    while size >= base and unit < len(units) - 1:
        size /= base
        unit += 1
    return f"{size:.{digits}g}{units[unit]}"


def human_duration(seconds: float) -> str:
    """A duration in one rough unit: ``About an hour``, ``3 days``."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    # From here on hours are rounded to the nearest.
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{int(seconds / 3600) // 24 // 365} years"


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
