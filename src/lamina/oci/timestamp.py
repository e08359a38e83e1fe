"""Times as Go writes them in JSON: RFC 3339 with up to nine digits of a second."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

ZERO: Final = "0001-01-01T00:00:00Z"
"""Go's zero time, which stands for no time at all."""

ZERO_UNIX: Final = -62135596800
"""The same in unix seconds."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FRACTION = re.compile(r"\.([0-9]+)")
_READ_BY_GO = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_UTC_OFFSET = re.compile(r"[+-]00:00\Z")
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})"
)


def parse_timestamp(text: str) -> datetime | None:
    """The moment in `text`, cut to microseconds; None for Go's zero time and for what is none."""
    if text == ZERO or not _RFC3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def is_timestamp(text: str) -> bool:
    """Whether `text` has the form that Go reads: any year, offset and number of digits."""
    return _READ_BY_GO.fullmatch(text) is not None


def format_timestamp(moment: datetime) -> str:
    """`moment`, which knows its offset, in UTC and without trailing zeros."""
    assert moment.tzinfo is not None
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return text.rstrip("0").removesuffix(".") + "Z"


# The times of a history are asked for with every request for it.
@lru_cache(maxsize=8192)
def parse_unix(text: str) -> int | None:
    """The moment `text` tells in unix nanoseconds; None for Go's zero time and for what is none."""
    moment = parse_timestamp(text)
    if moment is None:
        return None
    elapsed = moment.replace(microsecond=0) - _EPOCH
    fraction = _FRACTION.search(text)
    nanoseconds = int(fraction[1].ljust(9, "0")) if fraction else 0
    return (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000_000 + nanoseconds


def format_unix(nanoseconds: int | None) -> str:
    """Unix nanoseconds in UTC and without trailing zeros; None gives Go's zero time."""
    if nanoseconds is None:
        return ZERO
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    text = (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()
    return f"{text}{f'.{fraction:09d}'.rstrip('0') if fraction else ''}Z"


@lru_cache(maxsize=8192)
def as_go_prints(text: str) -> str:
    """`text` as Go prints it again: the same offset (``Z`` for none), no trailing zeros."""
    if parse_timestamp(text) is None:
        return ZERO
    text = _FRACTION.sub(lambda match: match[0].rstrip("0").rstrip("."), text)
    return _UTC_OFFSET.sub("Z", text)
