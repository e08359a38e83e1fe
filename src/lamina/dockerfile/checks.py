"""Build checks: what is allowed in a Dockerfile and probably not meant (BuildKit's linter).

`check` applies every rule of `check_rules` and gives warnings in the order of the file. What it
cannot know from the text (the base images' environment and platform) it is told, or leaves alone.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from lamina.dockerfile import check_rules as rules
from lamina.dockerfile.buildargs import BuildArguments, platform_arguments
from lamina.dockerfile.check_layout import check_layout
from lamina.dockerfile.check_origins import check_origins
from lamina.dockerfile.check_rules import CheckWarning
from lamina.dockerfile.check_stage import BaseImage, StageChecker, StageFacts
from lamina.dockerfile.directives import CheckOptions
from lamina.dockerfile.ignore import IgnorePatterns
from lamina.dockerfile.shellwords import Expander
from lamina.dockerfile.source import DockerfileError
from lamina.dockerfile.stages import SCRATCH, Dockerfile
from lamina.dockerfile.suggestion import Suggestions
from lamina.errors import InvalidParameter
from lamina.oci.platform import Platform

_ANY = Platform("linux", "amd64")

__all__ = ["BaseImage", "CheckInput", "CheckOptions", "CheckWarning", "check", "verdict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckInput:
    """What the checks may know beside the Dockerfile.

    `stages` are the indices to look into, None for all; `bases` what is known of base images, by
    the text of the FROM with its variables replaced.
    """

    build_arguments: Mapping[str, str | None] = field(default_factory=dict)
    build_platform: Platform = _ANY
    target_platform: Platform = _ANY
    target: str = ""
    stages: Collection[int] | None = None
    bases: Mapping[str, BaseImage] = field(default_factory=dict)
    ignore: IgnorePatterns | None = None
    options: CheckOptions | None = None


def check(dockerfile: Dockerfile, known: CheckInput | None = None) -> tuple[CheckWarning, ...]:
    """The warnings about a Dockerfile which its options let through, in the order of its lines.

    An error in an expansion, which the build will report, ends the checks of its stage. Raises
    DockerfileError for a malformed ``check`` directive.
    """
    known = known or CheckInput()
    options = known.options or dockerfile.document.check_options
    found = [warning for warning in _all(dockerfile, known) if _allowed(warning, options)]
    return tuple(sorted(found, key=lambda warning: warning.lines.start))


def verdict(warnings: Collection[CheckWarning], options: CheckOptions) -> None:
    """Raise DockerfileError if there are warnings and the options make them errors."""
    names = dict.fromkeys(warning.rule.name for warning in warnings)
    if options.error and names:
        first = min(warning.lines for warning in warnings)
        reason = f"lint violation found for rules: {', '.join(names)}"
        raise DockerfileError(reason, lines=first)


def _allowed(warning: CheckWarning, options: CheckOptions) -> bool:
    rule = warning.rule
    if rule.experimental and (options.experimental_all or rule.name in options.experimental):
        return True
    skipped = options.skip_all or rule.name in options.skip
    return not (skipped or rule.experimental)


def _all(dockerfile: Dockerfile, known: CheckInput) -> Iterator[CheckWarning]:
    for _, lines in dockerfile.document.empty_continuations:
        yield CheckWarning(rules.NO_EMPTY_CONTINUATION, "Empty continuation line", lines)
    yield from check_layout(dockerfile)
    expander = Expander(escape=dockerfile.escape)
    stage_name = dockerfile.target(known.target).name
    predefined = platform_arguments(known.build_platform, known.target_platform, stage=stage_name)
    arguments = BuildArguments(known.build_arguments, predefined)
    defaults = BuildArguments({}, predefined)
    suggestions = Suggestions()
    try:
        for instruction in dockerfile.arguments:
            arguments.declare_global(instruction, expander)
            defaults.declare_global(instruction, expander)
        yield from check_origins(dockerfile, arguments, defaults, expander, suggestions)
    except DockerfileError:
        return
    yield from _check_stages(dockerfile, known, arguments, expander, suggestions)


def _check_stages(
    dockerfile: Dockerfile,
    known: CheckInput,
    arguments: BuildArguments,
    expander: Expander,
    suggestions: Suggestions,
) -> Iterator[CheckWarning]:
    facts: dict[int, StageFacts] = {}
    for stage in dockerfile.stages:
        try:
            base = arguments.expand_global(stage.base, expander).text
        except DockerfileError:
            return
        parent = dockerfile.named(base, before=stage.index)
        if parent is not None:
            inherited = facts[parent.index]
        else:
            inherited = StageFacts.of(BaseImage() if base == SCRATCH else known.bases.get(base))
        checker = StageChecker(
            stage, inherited, arguments.stage(), expander, known.ignore, suggestions
        )
        found = [*checker.run()]
        facts[stage.index] = checker.facts
        if known.stages is None or stage.index in known.stages:
            yield from found
            if parent is None:
                expected = _platform(stage.origin.platform, arguments, expander)
                yield from checker.platform(base, expected or known.target_platform)


def _platform(text: str, arguments: BuildArguments, expander: Expander) -> Platform | None:
    """The platform of a FROM; None where it has none, or none that can be understood."""
    if not text:
        return None
    try:
        return Platform.parse(arguments.expand_global(text, expander).text)
    except InvalidParameter:
        return None
