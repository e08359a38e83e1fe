"""Parses ``WWW-Authenticate`` headers (RFC 9110 §11.6.1): what a server asks for.

Pure and lenient: registries in the wild leave quotes away or send several challenges in one
header, so what can be understood is kept and the rest is dropped.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_SEPARATORS = re.compile(r"[\s,]*")
_SCHEME = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?=[\s,]|$)")
_PARAMETER = re.compile(
    r"""([!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"=][^\s,"]*)?)(?=[\s,]|$)"""
)
_TOKEN68 = re.compile(r"[A-Za-z0-9\-._~+/]+=*(?=\s*(?:,|$))")
_ESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge: `scheme` and the names of `parameters` are in lower case, values as sent."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def get(self, name: str) -> str:
        """A parameter's value, empty where it was not sent."""
        return self.parameters.get(name, "")


def ask_alike(one: Iterable[Challenge], other: Iterable[Challenge]) -> bool:
    """Whether both want the same kind of credentials, from the same servers.

    What they say of scopes and errors belongs to the request that they answered.
    """

    def wanted(challenges: Iterable[Challenge]) -> list[tuple[str, str, str]]:
        return [(each.scheme, each.get("realm"), each.get("service")) for each in challenges]

    return wanted(one) == wanted(other)


def parse(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """The challenges of all ``WWW-Authenticate`` headers of one answer, in their order."""
    return tuple(challenge for header in headers for challenge in _parse_one(header))


def choose(challenges: Iterable[Challenge]) -> Challenge | None:
    """The challenge to answer: bearer before basic, None if the server asks for neither."""
    known = list(challenges)
    for scheme in ("bearer", "basic"):
        for challenge in known:
            if challenge.scheme == scheme and (scheme == "basic" or challenge.get("realm")):
                return challenge
    return None


def _parse_one(header: str) -> list[Challenge]:
    found: list[Challenge] = []
    position = _skip(header, 0)
    while match := _SCHEME.match(header, position):
        position = _skip(header, match.end())
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(header, position):
            name, quoted, plain = parameter.groups()
            value = (plain or "") if quoted is None else _ESCAPE.sub(r"\1", quoted)
            # The first of two equal names counts, as in Go's parsers.
            parameters.setdefault(name.lower(), value)
            position = _skip(header, parameter.end())
        if not parameters and "," not in header[match.end() : position]:
            token = _TOKEN68.match(header, position)
            position = _skip(header, token.end()) if token else position
        found.append(Challenge(match[1].lower(), MappingProxyType(parameters)))
    return found


def _skip(header: str, position: int) -> int:
    separators = _SEPARATORS.match(header, position)
    assert separators is not None
    return separators.end()
