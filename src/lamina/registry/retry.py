"""When to try again: backoff with jitter, and what ``Retry-After`` asks for."""

import random
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""Answers that another attempt may change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently one request is repeated. Times in seconds.

    Before attempt n+1 the wait is ``first * 2**(n-1)`` up to `longest`, of which up to `jitter` (a
    share) is taken off at random, so that many clients cut off at once do not return at once.
    A server that asks for more than `patience` is not waited for: the user learns it at once.
    """

    attempts: int = 5
    first: float = 0.5
    longest: float = 30.0
    jitter: float = 0.25
    patience: float = 60.0

    def delay(self, attempt: int, retry_after: float | None = None) -> float | None:
        """Seconds to wait after the failed `attempt` (the first is 1); None to give up."""
        if attempt >= self.attempts:
            return None
        if retry_after is not None:
            return retry_after if retry_after <= self.patience else None
        backoff = min(self.longest, self.first * 2.0 ** min(attempt - 1, 32))
        # Not for secrets: it only spreads clients.
        return backoff * (1 - self.jitter * random.random())  # noqa: S311


def retry_after(header: str | None, *, now: float) -> float | None:
    """Seconds asked for by a ``Retry-After`` header (seconds, or an HTTP date); None if unreadable.

    `now` is in seconds since the epoch.
    """
    if not header:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        # Longer than any patience, and never a number too big to be a float.
        return float(text[:12])
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - now)
