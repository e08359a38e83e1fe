"""Moments as callers write them, as the API has them: unix seconds.

Engines take durations and calendar times in filters, but leave it to their clients elsewhere.
"""

import re
from datetime import UTC, datetime

from lamina.errors import InvalidParameter

_UNIX = re.compile(r"\d{1,18}(\.\d{1,9})?")
_DURATION = re.compile(r"[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+")
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_CALENDAR = re.compile(r"(\d{4}-\d{2}-\d{2}(?:T[\d:]{2,8})?)(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})?")


def unix_time(text: str, *, now: float) -> str:
    """``1700000000.5`` for a moment: unix seconds, RFC 3339 and its shorter forms, a duration ago.

    Calendar times without a zone are UTC. Empty for an empty text. Raises InvalidParameter.
    """
    if not text or _UNIX.fullmatch(text):
        return text
    if _DURATION.fullmatch(text):
        seconds = sum(float(amount) * _SECONDS[unit] for amount, unit in _PART.findall(text))
        return f"{now + seconds if text.startswith('-') else now - seconds:.9f}"
    if (match := _CALENDAR.fullmatch(text)) is not None:
        try:
            moment = datetime.fromisoformat(f"{match[1]}{match[3] or ''}")
        except ValueError:
            raise _not_a_moment(text) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return f"{int(moment.timestamp())}{match[2] or ''}"
    raise _not_a_moment(text)


def _not_a_moment(text: str) -> InvalidParameter:
    return InvalidParameter(f'failed to parse value as time or duration: "{text}"')
