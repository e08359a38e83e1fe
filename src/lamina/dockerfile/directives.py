"""Parser directives: the ``# name=value`` comments before anything else in a Dockerfile.

``escape`` changes the escape character, ``check`` sets the build checks, and ``syntax`` names the
image of another front end, which BuildKit would run in place of its own.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from lamina.dockerfile.gostrings import SPACES
from lamina.dockerfile.source import NOWHERE, DockerfileError, Lines

_DIRECTIVE = re.compile(r"([a-zA-Z][a-zA-Z0-9]*)[ \t\n\f\r]*=[ \t\n\f\r]*(.+?)[ \t\n\f\r]*")
_KNOWN: Final = frozenset({"syntax", "escape", "check"})


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive: its `name` in lower case, its `value` as written."""

    name: str
    value: str
    lines: Lines = NOWHERE


@dataclass(slots=True)
class DirectiveReader:
    """Reads lines for as long as they are directives."""

    seen: dict[str, Directive] = field(default_factory=dict)
    done: bool = False

    def read(self, line: str, number: int) -> Directive | None:
        """The directive in `line`, the file's `number`-th; after the first None, always None.

        Raises DockerfileError for a directive that is there twice, or an unknown escape character.
        """
        if self.done:
            return None
        match = None
        if line.startswith("#"):
            match = _DIRECTIVE.fullmatch(line[1:].lstrip(SPACES))
        if match is None or match[1].lower() not in _KNOWN:
            self.done = True
            return None
        directive = Directive(match[1].lower(), match[2], Lines(number, number))
        if directive.name in self.seen:
            raise DockerfileError(
                f"only one {directive.name} parser directive can be used", lines=directive.lines
            )
        if directive.name == "escape" and directive.value not in ("\\", "`"):
            raise DockerfileError(
                f"invalid escape token '{directive.value}' does not match ` or \\",
                lines=directive.lines,
            )
        self.seen[directive.name] = directive
        return directive

    @property
    def escape(self) -> str:
        """The escape character in force."""
        directive = self.seen.get("escape")
        return directive.value if directive else "\\"


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What ``# check=skip=A,B;error=true;experimental=C`` asks of the build checks.

    `skip_all` and `experimental_all` stand for the word ``all``; `error` turns warnings into the
    build's failure.
    """

    skip: frozenset[str] = frozenset()
    skip_all: bool = False
    error: bool = False
    experimental: frozenset[str] = frozenset()
    experimental_all: bool = False

    @classmethod
    def parse(cls, text: str) -> "CheckOptions":
        """Read a check directive or a ``BUILDKIT_DOCKERFILE_CHECK``; raises DockerfileError."""
        if not text:
            return cls()
        lists: dict[str, frozenset[str]] = {}
        error = False
        for part in text.split(";"):
            name, equals, value = part.strip().partition("=")
            if not equals:
                raise DockerfileError(f"invalid check option {_quoted(part)}")
            name, value = name.strip(), value.strip()
            if name in ("skip", "experimental"):
                lists[name] = frozenset(rule.strip() for rule in value.split(","))
            elif name == "error":
                error = _boolean(value)
            else:
                raise DockerfileError(f"invalid check option {_quoted(name)}")
        skip = lists.get("skip", frozenset())
        experimental = lists.get("experimental", frozenset())
        return cls(
            skip=skip,
            skip_all="all" in skip and len(skip) == 1,
            error=error,
            experimental=experimental,
            experimental_all="all" in experimental and len(experimental) == 1,
        )


def _quoted(text: str) -> str:
    return f'"{text}"'


def _boolean(text: str) -> bool:
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise DockerfileError(
        f"failed to parse check option {_quoted('error=' + text)}: "
        f"strconv.ParseBool: parsing {_quoted(text)}: invalid syntax"
    )
