"""What there is to do: which stages a target needs, what each begins from, and how steps count.

Stages that nothing needs are left out, of the count of steps too. What is wrong with a FROM is kept
until its turn comes: the classic builder says so behind the step's line.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self

from lamina.dockerfile.buildargs import BuildArguments
from lamina.dockerfile.instructions import Arg, Copy, Instruction, KeyValue, Label, Run
from lamina.dockerfile.mounts import Expand
from lamina.dockerfile.parser import Node
from lamina.dockerfile.shellwords import Expander
from lamina.dockerfile.source import DockerfileError
from lamina.dockerfile.stages import SCRATCH, Dockerfile, Stage
from lamina.errors import InvalidParameter, InvalidPlatform, LaminaError
from lamina.oci.platform import Platform

MAX_STEPS: Final = 2000
"""Every image of a step has the history of all before it: their sizes add up to a square."""


@dataclass(frozen=True, slots=True)
class GivenLabel(Label):
    """A LABEL that a request adds: its value is no text of a Dockerfile, and stays as it is."""

    def expanded(self, expand: Expand) -> Self:
        """The same."""
        del expand
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStage:
    """A stage that will be built.

    `base` is the FROM's with its variables replaced, `base_stage` the stage it means, if it means
    one; `platform` is None where the FROM asks for none. `first_step` is the number of its FROM.
    """

    stage: Stage
    base: str = ""
    base_stage: Stage | None = None
    platform: Platform | None = None
    problem: LaminaError | None = None
    first_step: int = 0
    labels: tuple[Label, ...] = ()
    """What the request adds at the end: one LABEL for each."""

    @property
    def is_scratch(self) -> bool:
        """Whether it begins with nothing."""
        return self.base_stage is None and self.base == SCRATCH

    @property
    def steps(self) -> tuple[Instruction, ...]:
        """What follows the FROM."""
        return (*self.stage.instructions, *self.labels)


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """The stages to build, in the order of the Dockerfile; the last one is the target."""

    dockerfile: Dockerfile
    stages: tuple[PlannedStage, ...]
    total: int
    arguments: BuildArguments
    others: tuple[PlannedStage, ...] = ()
    """Stages before the target that nothing in the file needs; a trigger of a base may."""
    problem: LaminaError | None = None
    """What is wrong with an ARG before the first FROM: the build ends there."""
    problem_step: int = 0

    @property
    def target(self) -> PlannedStage:
        """The stage whose image is the result."""
        return self.stages[-1]

    def other(self, index: int) -> PlannedStage | None:
        """The stage of that index, if it is one of the `others`."""
        return next((one for one in self.others if one.stage.index == index), None)


def plan_build(
    dockerfile: Dockerfile,
    *,
    target: str,
    arguments: BuildArguments,
    labels: Mapping[str, str],
) -> BuildPlan:
    """The plan of a build. Raises InvalidParameter for a target that is no stage."""
    expander = Expander(escape=dockerfile.escape)
    last = dockerfile.target(target)
    problem, problem_step = None, 0
    for number, argument in enumerate(dockerfile.arguments, 1):
        try:
            arguments.declare_global(argument, expander)
        except DockerfileError as error:
            problem, problem_step = error, number
            break
    origins = [
        _origin(dockerfile, stage, arguments, expander)
        for stage in dockerfile.stages[: last.index + 1]
    ]
    step = len(dockerfile.arguments)
    stages: list[PlannedStage] = []
    needed = _needed(dockerfile, origins, last)
    for index in sorted(needed):
        origin = origins[index]
        added = _label_steps(labels) if index == last.index else ()
        planned = PlannedStage(
            stage=origin.stage,
            base=origin.base,
            base_stage=origin.base_stage,
            platform=origin.platform,
            problem=origin.problem,
            first_step=step + 1,
            labels=added,
        )
        stages.append(planned)
        step += 1 + len(planned.steps)
    check_steps(step)
    return BuildPlan(
        dockerfile,
        tuple(stages),
        step,
        arguments,
        others=tuple(one for one in origins if one.stage.index not in needed),
        problem=problem,
        problem_step=problem_step,
    )


def check_steps(count: int) -> None:
    """Raise InvalidParameter for a build of so many steps."""
    if count > MAX_STEPS:
        raise InvalidParameter(f"a build of {count} steps: more than {MAX_STEPS} are not taken")


def declared_names(plan: BuildPlan) -> frozenset[str]:
    """The arguments that an ARG declares up to the end of the target, in a stage built or not."""
    dockerfile = plan.dockerfile
    arguments = [*dockerfile.arguments]
    for stage in dockerfile.stages[: plan.target.stage.index + 1]:
        arguments += [one for one in stage.instructions if isinstance(one, Arg)]
    return frozenset(argument.name for one in arguments for argument in one.arguments)


def _origin(
    dockerfile: Dockerfile, stage: Stage, arguments: BuildArguments, expander: Expander
) -> PlannedStage:
    origin = stage.origin
    try:
        base = arguments.expand_global(origin.base, expander).text
        if not base:
            raise InvalidParameter(f"base name ({origin.base}) should not be blank")
        wanted = arguments.expand_global(origin.platform, expander).text
        platform = _platform(wanted) if origin.platform else None
    except LaminaError as error:
        return PlannedStage(stage=stage, problem=error)
    base_stage = dockerfile.named(base, before=stage.index)
    return PlannedStage(stage=stage, base=base, base_stage=base_stage, platform=platform)


def _platform(text: str) -> Platform:
    try:
        return Platform.parse(text)
    except InvalidPlatform as error:
        raise InvalidParameter(f"failed to parse platform {text}: {error}") from error


def _needed(dockerfile: Dockerfile, origins: list[PlannedStage], last: Stage) -> set[int]:
    needed: set[int] = set()
    waiting = [last.index]
    while waiting:
        index = waiting.pop()
        if index not in needed:
            needed.add(index)
            waiting += _dependencies(dockerfile, origins[index])
    return needed


def _dependencies(dockerfile: Dockerfile, origin: PlannedStage) -> Iterator[int]:
    if origin.base_stage is not None:
        yield origin.base_stage.index
    for instruction in origin.stage.instructions:
        for name in sources_of(instruction):
            if (found := find_stage(dockerfile, name, origin.stage.index)) is not None:
                yield found.index


def find_stage(dockerfile: Dockerfile, name: str, before: int) -> Stage | None:
    """The stage that ``--from=name`` means in the stage of index `before`; None if it is none."""
    try:
        return dockerfile.find(name, before=before)
    except InvalidParameter:
        # Said when its turn comes.
        return None


def sources_of(instruction: Instruction) -> Iterator[str]:
    """The names that an instruction takes files from: stages, images or contexts."""
    if isinstance(instruction, Copy) and instruction.source_from:
        yield instruction.source_from
    if isinstance(instruction, Run):
        try:
            mounts = instruction.mounts(lambda word: word)
        except DockerfileError:
            return
        yield from (mount.source_from for mount in mounts if mount.source_from)


def _label_steps(labels: Mapping[str, str]) -> tuple[GivenLabel, ...]:
    return tuple(
        GivenLabel(Node("LABEL", f"LABEL {name}={value}"), (KeyValue(name, value),))
        for name, value in sorted(labels.items())
    )
