"""Sizes and ages for people, as Docker's tools word them."""

from datetime import datetime

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")


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
    return _local(created).strftime("%Y-%m-%d %H:%M:%S %z %Z")


def rfc3339(created: int) -> str:
    """A unix time in the local zone: ``2026-11-23T23:02:52Z``."""
    return _zoned(_local(created).isoformat(timespec="seconds"))


def rfc3339_nano(nanoseconds: int) -> str:
    """Unix nanoseconds in the local zone, always with nine digits of fraction."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    text = _local(seconds).isoformat(timespec="seconds")
    return _zoned(f"{text[:19]}.{rest:09d}{text[19:]}")


def _local(created: int) -> datetime:
    return datetime.fromtimestamp(created).astimezone()


def _zoned(text: str) -> str:
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text
