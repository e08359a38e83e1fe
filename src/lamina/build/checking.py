"""BuildKit's build checks, told at the end of a build to those who can hear events.

The classic stream has no text for them. ``# check=error=true`` makes them the build's failure.
"""

from collections.abc import Mapping

from lamina.build.ledger import BuiltImage
from lamina.build.plan import BuildPlan
from lamina.build.request import BuildRequest
from lamina.dockerfile.checks import BaseImage, CheckInput, CheckWarning, check, verdict
from lamina.dockerfile.directives import CheckOptions
from lamina.dockerfile.ignore import IgnorePatterns
from lamina.oci.digest import Digest
from lamina.oci.platform import Platform, host
from lamina.progress import BuildWarning, Report

_OPTIONS = "BUILDKIT_DOCKERFILE_CHECK"


def check_plan(
    plan: BuildPlan,
    request: BuildRequest,
    *,
    platform: Platform,
    ignore: IgnorePatterns | None,
    bases: Mapping[int, BuiltImage | None] | None = None,
) -> tuple[CheckWarning, ...]:
    """What is probably not meant in the stages that are built.

    `bases` are what they began from, by their index, when that is known: some rules need it.
    Raises DockerfileError where the options make that an error, or are malformed.
    """
    given = request.arguments.get(_OPTIONS)
    options = CheckOptions.parse(given) if given else plan.dockerfile.document.check_options
    known = CheckInput(
        build_arguments=request.arguments,
        build_platform=host().normalized(),
        target_platform=platform,
        target=request.target,
        stages=[one.stage.index for one in plan.stages],
        ignore=ignore,
        bases=_known(plan, bases or {}),
        options=options,
    )
    found = check(plan.dockerfile, known)
    verdict(found, options)
    return found


def _known(plan: BuildPlan, bases: Mapping[int, BuiltImage | None]) -> dict[str, BaseImage]:
    found = {}
    for planned in plan.stages:
        base = bases.get(planned.stage.index)
        if base is not None and planned.base_stage is None:
            config = base.config.config
            found[planned.base] = BaseImage(config.env or (), config.shell, base.config.platform)
    return found


async def tell(warnings: tuple[CheckWarning, ...], image_id: Digest, report: Report) -> None:
    """Tell of warnings about an image that was built."""
    for warning in warnings:
        event = BuildWarning(
            image=str(image_id),
            rule=warning.rule.name,
            detail=warning.detail,
            url=warning.rule.url,
            first_line=warning.lines.start,
            last_line=warning.lines.end,
        )
        await report(event)
