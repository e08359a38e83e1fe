"""A Dockerfile as a whole: its global arguments and its stages, and how stages are found."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lamina.dockerfile.gostrings import quote
from lamina.dockerfile.instructions import Arg, From, Instruction
from lamina.dockerfile.parser import Document, parse
from lamina.dockerfile.reading import parse_instruction
from lamina.dockerfile.source import DockerfileError, Lines, ParseError
from lamina.errors import InvalidParameter

SCRATCH: Final = "scratch"
"""The base that is no image: a stage from it begins with nothing."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A FROM and what follows it. `index` counts from 0, as ``COPY --from=0`` does."""

    index: int
    origin: From
    instructions: tuple[Instruction, ...] = ()

    @property
    def name(self) -> str:
        """The name given to it, in lower case; empty if it has none."""
        return self.origin.name

    @property
    def base(self) -> str:
        """What it begins from, before any variable has a value: an image or a stage's name."""
        return self.origin.base

    @property
    def title(self) -> str:
        """A name for people: its own, or ``stage-<index>``."""
        return self.name or f"stage-{self.index}"

    @property
    def lines(self) -> Lines:
        """Where its FROM stands."""
        return self.origin.lines


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A parsed Dockerfile; `arguments` are the ARGs before the first FROM.

    `places` are the indices of the stages of each name, in order.
    """

    document: Document
    arguments: tuple[Arg, ...]
    stages: tuple[Stage, ...]
    places: Mapping[str, Sequence[int]]

    @property
    def escape(self) -> str:
        """The escape character, which expansions need."""
        return self.document.escape

    def named(self, name: str, *, before: int | None = None) -> Stage | None:
        """The last stage of that name, in any case, among those `before` an index; or None."""
        places = self.places.get(name.lower(), ())
        count = len(places) if before is None else bisect_left(places, before)
        return self.stages[places[count - 1]] if count else None

    def find(self, name: str, *, before: int | None = None) -> Stage | None:
        """What ``COPY --from`` means by `name`: a stage's number or name; None for an image.

        Raises InvalidParameter for a number that no stage has.
        """
        if not (name.isascii() and name.isdecimal()):
            return self.named(name, before=before)
        end = len(self.stages) if before is None else before
        if len(name) > 9 or int(name) >= end:
            raise InvalidParameter(f"invalid stage index {name}")
        return self.stages[int(name)]

    def target(self, name: str) -> Stage:
        """The stage to build: the last one, or the one a target names; raises InvalidParameter."""
        if not name:
            return self.stages[-1]
        stage = self.named(name)
        if stage is None and name.isascii() and name.isdecimal() and len(name) < 10:
            stage = next((stage for stage in self.stages if stage.index == int(name)), None)
        if stage is None:
            raise InvalidParameter(f"target stage {quote(name)} could not be found")
        return stage


def parse_dockerfile(source: str | bytes) -> Dockerfile:
    """Parse a Dockerfile into stages.

    Raises ParseError for an instruction that is wrong in itself, and DockerfileError for a file
    that cannot be read as one at all.
    """
    return divide(parse(source))


def divide(document: Document) -> Dockerfile:
    """Divide a parsed document into stages; raises as `parse_dockerfile`."""
    arguments: list[Arg] = []
    stages: list[Stage] = []
    current: list[Instruction] = []
    origin: From | None = None
    for node in document.nodes:
        try:
            instruction = parse_instruction(node)
        except DockerfileError as error:
            raise ParseError(error.reason, lines=node.lines) from None
        if isinstance(instruction, From):
            if origin is not None:
                stages.append(Stage(len(stages), origin, tuple(current)))
            origin, current = instruction, []
        elif origin is not None:
            current.append(instruction)
        elif isinstance(instruction, Arg):
            arguments.append(instruction)
        else:
            raise DockerfileError("no build stage in current context", lines=node.lines)
    if origin is None:
        raise DockerfileError("dockerfile contains no stages to build")
    stages.append(Stage(len(stages), origin, tuple(current)))
    places: dict[str, list[int]] = {}
    for stage in stages:
        if stage.name:
            places.setdefault(stage.name, []).append(stage.index)
    return Dockerfile(document, tuple(arguments), tuple(stages), places)


def parse_trigger(text: str, lines: Lines, *, escape: str = "\\") -> Instruction:
    """The instruction of an ONBUILD trigger that a base image records, placed at its FROM.

    Raises DockerfileError, also for instructions that are none of a trigger's.
    """
    document = parse(text if escape == "\\" else f"# escape={escape}\n{text}")
    if len(document.nodes) != 1:
        raise DockerfileError("onbuild trigger should be a single expression", lines=lines)
    node = document.nodes[0]
    if node.keyword in ("from", "maintainer", "onbuild"):
        reason = f"{node.name.upper()} isn't allowed as an ONBUILD trigger"
        raise DockerfileError(reason, lines=lines)
    return parse_instruction(replace(node, lines=lines))
