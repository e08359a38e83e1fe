"""Flags of instructions: ``--name``, ``--name=value``, some of them repeatable."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lamina.dockerfile.source import DockerfileError
from lamina.dockerfile.suggestion import did_you_mean


class FlagKind(enum.Enum):
    """What a flag takes."""

    BOOLEAN = enum.auto()
    TEXT = enum.auto()
    TEXTS = enum.auto()


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags which an instruction was given: texts in order by name, ``true`` or ``false``."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """The value of a text flag, empty if it was not given."""
        return self.values.get(name, ("",))[0]

    def texts(self, name: str) -> tuple[str, ...]:
        """All values of a repeatable flag."""
        return self.values.get(name, ())

    def optional_boolean(self, name: str) -> bool | None:
        """A boolean flag, None if it was not given."""
        given = self.values.get(name)
        return None if given is None else given[0] == "true"

    def boolean(self, name: str) -> bool:
        """A boolean flag, false if it was not given."""
        return self.optional_boolean(name) or False


def parse_flags(given: Sequence[str], known: Mapping[str, FlagKind]) -> Flags:
    """Read flags as written; raises DockerfileError for those `known` does not allow."""
    values: dict[str, list[str]] = {}
    for flag in given:
        name, equals, value = flag.removeprefix("--").partition("=")
        kind = known.get(name)
        if kind is None:
            hint = did_you_mean(name, known, case_sensitive=True)
            raise DockerfileError(f"unknown flag: --{name}{hint}")
        if name in values and kind is not FlagKind.TEXTS:
            raise DockerfileError(f"duplicate flag specified: --{name}")
        if kind is FlagKind.BOOLEAN:
            value = _boolean(name, value, has_value=bool(equals))
        elif not equals:
            raise DockerfileError(f"missing a value on flag: --{name}")
        values.setdefault(name, []).append(value)
    return Flags({name: tuple(texts) for name, texts in values.items()})


def _boolean(name: str, value: str, *, has_value: bool) -> str:
    if not has_value:
        return "true"
    if not value:
        raise DockerfileError(f"missing a value on flag: --{name}")
    if value.lower() not in ("true", "false"):
        raise DockerfileError(f"expecting boolean value for flag --{name}, not: {value}")
    return value.lower()
