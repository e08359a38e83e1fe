"""Build arguments: which variables have which value where in a Dockerfile.

An argument's value is what the build was given for it, else ARG's default, else (in a stage) the
value it has before the first FROM. A stage sees only what it declares with ARG; the platform's
arguments count as declared before the first FROM, and the proxies' need no declaration at all.
"""

from collections import ChainMap
from collections.abc import Mapping
from typing import Final

from lamina.dockerfile.instructions import Arg, Argument
from lamina.dockerfile.shellwords import Expander, Expansion, Expansions
from lamina.dockerfile.source import DockerfileError
from lamina.oci.platform import Platform

PROXIES: Final = frozenset(
    name
    for proxy in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for name in (proxy, proxy.lower())
)
"""Arguments that every RUN sees undeclared, and that no cache key and no history shows then."""


def platform_arguments(build: Platform, target: Platform, *, stage: str = "") -> dict[str, str]:
    """The arguments BuildKit predefines; `stage` is the target's name, ``default`` if it has none.

    Values are as they were written: normalise the platforms first.
    """
    return {
        **{f"BUILD{name}": value for name, value in _parts(build).items()},
        **{f"TARGET{name}": value for name, value in _parts(target).items()},
        "TARGETSTAGE": stage or "default",
    }


def _parts(platform: Platform) -> dict[str, str]:
    return {
        "PLATFORM": str(platform),
        "OS": platform.os,
        "OSVERSION": platform.os_version,
        "ARCH": platform.architecture,
        "VARIANT": platform.variant,
    }


class BuildArguments:
    """The arguments of one build, followed from the top of its Dockerfile to its end.

    `given` are those of the request; None is an argument named without a value, which counts as
    not given. `predefined` are the platform's.
    """

    def __init__(
        self, given: Mapping[str, str | None], predefined: Mapping[str, str] | None = None
    ) -> None:
        self._given = {name: value for name, value in given.items() if value is not None}
        self._names = frozenset(given)
        self._globals: dict[str, str] = dict(predefined or {})
        # What the request gives a predefined argument holds from the start.
        self._globals |= {key: self._given[key] for key in self._globals if key in self._given}
        self._declared: set[str] = set()
        proxies = {name: value for name, value in self._given.items() if name in PROXIES}
        self.globals: Mapping[str, str] = ChainMap(self._globals, proxies)
        """The values before the first FROM, which FROM lines may use."""

    def declare_global(self, instruction: Arg, expander: Expander) -> None:
        """Take an ARG that stands before the first FROM; raises DockerfileError."""
        expansions = Expansions(expander, self.globals)
        for argument in instruction.arguments:
            self._declared.add(argument.name)
            value = self._given.get(argument.name)
            if value is None and argument.default is not None:
                try:
                    value = expansions.text(argument.default)
                except DockerfileError as error:
                    raise error.on(instruction.lines) from None
            if value is not None:
                self._globals[argument.name] = value

    def expand_global(self, word: str, expander: Expander) -> Expansion:
        """A word of a FROM; raises DockerfileError."""
        return expander.expand(word, self.globals)

    def stage(self) -> "StageArguments":
        """The arguments of a stage at its FROM: none is declared yet."""
        return StageArguments(self._given, self._globals, self._declared)

    @property
    def unconsumed(self) -> tuple[str, ...]:
        """What was given and is declared nowhere so far, sorted."""
        known = self._declared | PROXIES | self._globals.keys()
        return tuple(sorted(self._names - known))


class StageArguments:
    """The arguments which a stage has declared so far."""

    def __init__(
        self, given: Mapping[str, str], globals_: Mapping[str, str], declared: set[str]
    ) -> None:
        self._given = given
        self._globals = globals_
        self._everywhere = declared
        self._values: dict[str, str | None] = {}

    def declare(self, argument: Argument) -> str | None:
        """Take an argument of an ARG (already expanded); gives its value, None if it has none."""
        self._everywhere.add(argument.name)
        value = self._given.get(argument.name, argument.default)
        if value is None:
            value = self._globals.get(argument.name)
        self._values[argument.name] = value
        return value

    @property
    def declared(self) -> frozenset[str]:
        """The names declared, with or without a value."""
        return frozenset(self._values)

    @property
    def values(self) -> dict[str, str]:
        """Every argument with a value, undeclared proxies too: what RUN and expansions see."""
        proxies = {name: value for name, value in self._given.items() if name in PROXIES}
        return proxies | self.recorded

    @property
    def recorded(self) -> dict[str, str]:
        """Only declared arguments: what cache keys and the history of a RUN show."""
        return {name: value for name, value in self._values.items() if value is not None}
