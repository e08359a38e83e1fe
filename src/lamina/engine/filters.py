"""Filters: from what a caller wrote to checked values, with dockerd's messages for mistakes."""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from lamina.dockerfile.goglob import BadPattern, tokens
from lamina.dockerfile.gostrings import parse_duration, parse_int
from lamina.dockerfile.matching import Match, matcher
from lamina.dockerfile.source import DockerfileError
from lamina.errors import InvalidFilter, InvalidParameter
from lamina.image_api import Filters

__all__ = ["FilterSet", "glob", "parse_time", "prunable"]

_TRUE, _FALSE = ("1", "true"), ("0", "false")


@dataclass(frozen=True, slots=True)
class FilterSet:
    """Filters whose names are known to be accepted."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def check(cls, filters: Filters | None, accepted: Iterable[str]) -> "FilterSet":
        """Take `filters` if all their names are in `accepted`, else raise InvalidFilter."""
        for name in filters or ():
            if name not in accepted:
                raise InvalidFilter(f"invalid filter '{name}'", name=name)
        return cls.select(filters, accepted)

    @classmethod
    def select(cls, filters: Filters | None, accepted: Iterable[str]) -> "FilterSet":
        """Take those of `filters` whose names are in `accepted`."""
        values = {
            name: _texts(value) for name, value in (filters or {}).items() if name in accepted
        }
        return cls({name: texts for name, texts in values.items() if texts})

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def __getitem__(self, name: str) -> tuple[str, ...]:
        return self.values.get(name, ())

    def boolean(self, name: str, *, default: bool) -> bool:
        """The one value of a filter that is true or false. Raises InvalidFilter."""
        texts = self[name]
        if not texts:
            return default
        if all(text in _TRUE for text in texts):
            return True
        if all(text in _FALSE for text in texts):
            return False
        raise self.invalid(name)

    def matches_labels(self, labels: Mapping[str, str] | None) -> bool:
        """Whether all values of ``label``, ``key`` or ``key=value``, are among the labels.

        And not all of ``label!``, where there is such a filter.
        """
        if not self._are_among("label", labels):
            return False
        return "label!" not in self or not self._are_among("label!", labels)

    def _are_among(self, name: str, labels: Mapping[str, str] | None) -> bool:
        return all(_has_label(labels or {}, text) for text in self[name])

    def finds(self, name: str, text: str) -> bool:
        """Whether a value of the filter is `text`, or a regular expression that is found in it.

        One of Go's, as in a dockerd; what is none finds nothing.
        """
        return name not in self or any(
            text == wanted or _is_found(wanted, text) for wanted in self[name]
        )

    def invalid(self, name: str) -> InvalidFilter:
        """The error for a filter with a value it cannot have."""
        return InvalidFilter(f"invalid filter '{name}=[{' '.join(self[name])}]'", name=name)


def _is_found(pattern: str, text: str) -> bool:
    found = _searching(pattern)
    return found is not None and found(text)


@lru_cache(maxsize=64)
def _searching(pattern: str) -> Callable[[str], bool] | None:
    """A search that takes a time in proportion to the text; None for no regular expression."""
    # Whoever never filters so need not wait for it to be loaded.
    import re2  # noqa: PLC0415

    options = re2.Options()
    options.log_errors = False
    try:
        expression = re2.compile(pattern, options)
    except (re2.error, UnicodeError):
        return None
    return lambda text: expression.search(text) is not None


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ("true" if value else "false",)
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Iterable):
        return tuple(dict.fromkeys(text for item in value for text in _texts(item)))
    return (str(value),)


def _has_label(labels: Mapping[str, str], text: str) -> bool:
    key, equals, value = text.partition("=")
    return key in labels and (not equals or labels[key] == value)


def glob(pattern: str) -> Match:
    """What tells whether a text matches a pattern as Go's ``path.Match``. InvalidParameter."""
    try:
        return matcher(tokens(pattern, globstar=False))
    except BadPattern as error:
        raise InvalidParameter(str(error)) from None


_UNIX_TIME: Final = re.compile(r"([+-]?[0-9]+)(?:\.([0-9]{1,9}))?")
_CALENDAR_TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:T([0-9]{2})(?::([0-9]{2}))?(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?)?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = 1_000_000_000


def parse_time(text: str, now: int) -> int:
    """Unix nanoseconds of a time as clients write it.

    A Go duration (that long before `now`), RFC 3339 and its shortened forms (in UTC where no zone
    is given), or unix seconds, of 64 bits, with up to nine decimals. Raises InvalidParameter.
    """
    if text != "0":
        with suppress(DockerfileError):
            return now - parse_duration(text)
    with suppress(DockerfileError, ValueError):
        if (match := _UNIX_TIME.fullmatch(text)) is not None:
            return parse_int(match[1], bits=64) * _SECOND + _nanoseconds(match[2])
        if (match := _CALENDAR_TIME.fullmatch(text)) is not None:
            return _calendar_time(match)
    raise InvalidParameter(f'failed to parse value as time or duration: "{text}"')


def _calendar_time(match: re.Match[str]) -> int:
    """Raises ValueError for a day or an hour that does not exist."""
    day, hour, minute, second, fraction, zone = match.groups()
    written = f"{day}T{hour or '00'}:{minute or '00'}:{second or '00'}{zone or 'Z'}"
    elapsed = datetime.fromisoformat(written) - _EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * _SECOND + _nanoseconds(fraction)


def _nanoseconds(fraction: str | None) -> int:
    return int((fraction or "").ljust(9, "0"))


def prunable(filters: FilterSet, now: int) -> Callable[[int, Mapping[str, str] | None], bool]:
    """Whether what was made at a time (unix nanoseconds), with some labels, is to be pruned.

    That is by ``until``, ``label`` and ``label!``. Raises InvalidFilter, InvalidParameter.
    """
    if len(filters["until"]) > 1:
        raise InvalidParameter("more than one until filter specified")
    until: int | None = None
    for text in filters["until"]:
        try:
            until = parse_time(text, now)
        except InvalidParameter as error:
            message = f"invalid value for 'until' filter: {error}"
            raise InvalidFilter(message, name="until") from None

    def wanted(created: int, labels: Mapping[str, str] | None) -> bool:
        return (until is None or created <= until) and filters.matches_labels(labels)

    return wanted
