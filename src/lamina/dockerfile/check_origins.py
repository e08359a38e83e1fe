"""Checks of FROM lines: their variables, and the platforms they ask for."""

from collections.abc import Collection, Iterator

from lamina.dockerfile import check_rules as rules
from lamina.dockerfile.buildargs import BuildArguments
from lamina.dockerfile.check_rules import CheckWarning
from lamina.dockerfile.gostrings import quote
from lamina.dockerfile.instructions import From
from lamina.dockerfile.shellwords import Expander, Expansion
from lamina.dockerfile.source import Lines
from lamina.dockerfile.stages import Dockerfile
from lamina.dockerfile.suggestion import Suggestions
from lamina.errors import InvalidPlatform, InvalidReference
from lamina.oci.platform import Platform
from lamina.oci.reference import Reference


def check_origins(
    dockerfile: Dockerfile,
    arguments: BuildArguments,
    defaults: BuildArguments,
    expander: Expander,
    suggestions: Suggestions,
) -> Iterator[CheckWarning]:
    """Check every FROM; `defaults` are the arguments of a build that is given none.

    Raises DockerfileError for an expansion that fails.
    """
    declared = {item.name for arg in dockerfile.arguments for item in arg.arguments}
    known = sorted(declared | arguments.globals.keys())
    for stage in dockerfile.stages:
        origin = stage.origin
        base = defaults.expand_global(origin.base, expander).text
        try:
            Reference.parse(base)
        except InvalidReference:
            detail = (
                f"Default value for ARG {origin.base} results in empty or invalid base image name"
            )
            yield CheckWarning(rules.INVALID_DEFAULT_ARG_IN_FROM, detail, origin.lines)
        used = arguments.expand_global(origin.base, expander)
        yield from _undeclared(used, known, origin.lines, suggestions)
        if origin.platform:
            platform = arguments.expand_global(origin.platform, expander)
            yield from _undeclared(platform, known, origin.lines, suggestions)
            yield from _redundant(origin, platform, arguments)
            yield from _constant(origin, platform)


def _undeclared(
    expansion: Expansion, declared: Collection[str], lines: Lines, suggestions: Suggestions
) -> Iterator[CheckWarning]:
    for name in sorted(expansion.unmatched.difference(declared)):
        hint = suggestions.hint(name, declared)
        detail = f"FROM argument '{name}' is not declared{hint}"
        yield CheckWarning(rules.UNDEFINED_ARG_IN_FROM, detail, lines)


def _redundant(
    origin: From, platform: Expansion, arguments: BuildArguments
) -> Iterator[CheckWarning]:
    target = arguments.globals.get("TARGETPLATFORM")
    only_target = platform.matched == {"TARGETPLATFORM"} and not platform.unmatched
    if only_target and platform.text == target:
        detail = (
            f"Setting platform to predefined {origin.platform} in FROM is redundant "
            "as this is the default behavior"
        )
        yield CheckWarning(rules.REDUNDANT_TARGET_PLATFORM, detail, origin.lines)


def _constant(origin: From, expansion: Expansion) -> Iterator[CheckWarning]:
    if expansion.matched or expansion.unmatched:
        return
    try:
        platform = Platform.parse(expansion.text)
    except InvalidPlatform:
        return
    # A stage for one platform, and named so, means it.
    if platform.os in origin.name or platform.architecture in origin.name:
        return
    detail = f"FROM --platform flag should not use constant value {quote(expansion.text)}"
    yield CheckWarning(rules.FROM_PLATFORM_FLAG_CONST_DISALLOWED, detail, origin.lines)
