"""Filters: from what a caller wrote to checked values, with dockerd's messages for mistakes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lamina.errors import InvalidFilter, InvalidParameter
from lamina.image_api import Filters

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
        """Whether a value of the filter is in `text`, at its ends where ``^`` and ``$`` say so.

        dockerd takes it for a pattern, which could be one that never ends matching.
        """
        return name not in self or any(_is_in(text, wanted) for wanted in self[name])

    def invalid(self, name: str) -> InvalidFilter:
        """The error for a filter with a value it cannot have."""
        return InvalidFilter(f"invalid filter '{name}=[{' '.join(self[name])}]'", name=name)


def _is_in(text: str, wanted: str) -> bool:
    bare = wanted.removeprefix("^").removesuffix("$")
    match wanted.startswith("^"), wanted.endswith("$"):
        case True, True:
            return text == bare
        case True, False:
            return text.startswith(bare)
        case False, True:
            return text.endswith(bare)
        case _:
            return bare in text


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


def glob(pattern: str) -> re.Pattern[str]:
    """A pattern of Go's ``path.Match``: no wildcard crosses ``/``. Raises InvalidParameter."""
    out: list[str] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*":
            out.append("[^/]*")
        elif character == "?":
            out.append("[^/]")
        elif character == "[":
            text, position = _character_class(pattern, position)
            out.append(text)
        elif character == "\\":
            if position == len(pattern):
                raise InvalidParameter("syntax error in pattern")
            out.append(re.escape(pattern[position]))
            position += 1
        else:
            out.append(re.escape(character))
    return re.compile("".join(out), re.DOTALL)


def _character_class(pattern: str, position: int) -> tuple[str, int]:
    negated = pattern[position : position + 1] == "^"
    position += negated
    ranges: list[str] = []
    while True:
        if pattern[position : position + 1] == "]" and ranges:
            return f"[{'^' if negated else ''}{''.join(ranges)}]", position + 1
        low, position = _class_character(pattern, position)
        high = low
        if pattern[position : position + 1] == "-":
            high, position = _class_character(pattern, position + 1)
        if high < low:
            raise InvalidParameter("syntax error in pattern")
        ranges.append(f"{re.escape(low)}-{re.escape(high)}")


def _class_character(pattern: str, position: int) -> tuple[str, int]:
    if pattern[position : position + 1] == "\\":
        position += 1
    elif pattern[position : position + 1] in ("-", "]"):
        raise InvalidParameter("syntax error in pattern")
    if position >= len(pattern):
        raise InvalidParameter("syntax error in pattern")
    return pattern[position], position + 1


_DURATION = re.compile(r"([+-]?)((?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_UNIX_TIME = re.compile(r"(-?\d+)(?:\.(\d{1,9}))?")
_CALENDAR_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d))?(?::(\d\d)(?:\.(\d{1,9}))?)?)?(Z|[+-]\d\d:\d\d)?"
)


def parse_time(text: str, now: int) -> int:
    """Unix nanoseconds of a time as clients write it.

    A Go duration (that long before `now`), RFC 3339 and its shortened forms (in UTC where no zone
    is given), or unix seconds with up to nine decimals. Raises InvalidParameter.
    """
    if text == "0":
        return 0
    if (match := _DURATION.fullmatch(text)) is not None:
        total = sum(
            round(float(amount) * _NANOSECONDS[unit])
            for amount, unit in _DURATION_PART.findall(text)
        )
        return now + total if match[1] == "-" else now - total
    if (match := _UNIX_TIME.fullmatch(text)) is not None:
        return int(match[1]) * 1_000_000_000 + int((match[2] or "").ljust(9, "0"))
    if (match := _CALENDAR_TIME.fullmatch(text)) is not None:
        return _calendar_time(match, text)
    raise InvalidParameter(f'failed to parse value as time or duration: "{text}"')


def _calendar_time(match: re.Match[str], text: str) -> int:
    day, hour, minute, second, fraction, zone = match.groups()
    written = f"{day}T{hour or '00'}:{minute or '00'}:{second or '00'}{zone or 'Z'}"
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise InvalidParameter(f'failed to parse value as time or duration: "{text}"') from None
    seconds = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    whole = seconds.days * 86_400 + seconds.seconds
    return whole * 1_000_000_000 + int((fraction or "").ljust(9, "0"))
