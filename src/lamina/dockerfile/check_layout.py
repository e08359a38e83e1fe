"""Checks of how a Dockerfile is written, whatever its variables are."""

from collections.abc import Iterator

from lamina.dockerfile import check_rules as rules
from lamina.dockerfile.check_rules import CheckWarning
from lamina.dockerfile.gostrings import quote
from lamina.dockerfile.instructions import From, Maintainer
from lamina.dockerfile.parser import Node
from lamina.dockerfile.stages import Dockerfile

_RESERVED = frozenset({"context", "scratch"})


def check_layout(dockerfile: Dockerfile) -> Iterator[CheckWarning]:
    """Names and casing of stages and instructions, descriptions, MAINTAINER."""
    seen: set[str] = set()
    for stage in dockerfile.stages:
        yield from _casing_of_from(stage.origin)
        yield from _name(stage.origin, seen)
        yield from _description(stage.origin.node, "FROM", [stage.name] if stage.name else [])
        for instruction in stage.instructions:
            if isinstance(instruction, Maintainer):
                detail = "Maintainer instruction is deprecated in favor of using label"
                yield CheckWarning(rules.MAINTAINER_DEPRECATED, detail, instruction.lines)
    for arg in dockerfile.arguments:
        yield from _description(arg.node, "ARG", [item.name for item in arg.arguments])
    yield from _casing_of_instructions(dockerfile)


def _casing_of_from(origin: From) -> Iterator[CheckWarning]:
    if not origin.name:
        return
    keyword, (_, as_keyword, name) = origin.node.name, origin.node.arguments
    if name != name.lower():
        detail = f"Stage name '{name}' should be lowercase"
        yield CheckWarning(rules.STAGE_NAME_CASING, detail, origin.lines)
    # A FROM in mixed case is for another rule to complain about.
    expected = as_keyword
    if keyword == keyword.lower():
        expected = as_keyword.lower()
    elif keyword == keyword.upper():
        expected = as_keyword.upper()
    if as_keyword != expected:
        detail = f"'{as_keyword}' and '{keyword}' keywords' casing do not match"
        yield CheckWarning(rules.FROM_AS_CASING, detail, origin.lines)


def _name(origin: From, seen: set[str]) -> Iterator[CheckWarning]:
    name = origin.name
    if name in _RESERVED:
        detail = f"Stage name should not use the same name as reserved stage {quote(name)}"
        yield CheckWarning(rules.RESERVED_STAGE_NAME, detail, origin.lines)
    if name in seen:
        detail = f"Duplicate stage name {quote(name)}, stage names should be unique"
        yield CheckWarning(rules.DUPLICATE_STAGE_NAME, detail, origin.lines)
    if name:
        seen.add(name)


def _description(node: Node, instruction: str, names: list[str]) -> Iterator[CheckWarning]:
    if not (node.comments and names) or node.comments[-1].split(" ")[0] in names:
        return
    example = names[0] if len(names) == 1 else "<arg_key>"
    detail = f"Comment for {instruction} should follow the format: `# {example} <description>`"
    yield CheckWarning(rules.INVALID_DEFINITION_DESCRIPTION, detail, node.lines)


def _casing_of_instructions(dockerfile: Dockerfile) -> Iterator[CheckWarning]:
    """Upper or lower case, as most have it. ARGs before the first FROM do not count."""
    nodes = [
        instruction.node
        for stage in dockerfile.stages
        for instruction in (stage.origin, *stage.instructions)
    ]
    lower = sum(node.name == node.name.lower() for node in nodes)
    upper = sum(node.name == node.name.upper() for node in nodes)
    casing = "lowercase" if lower > upper else "uppercase"
    for node in nodes:
        right = node.name.lower() if lower > upper else node.name.upper()
        if node.name != right:
            detail = (
                f"Command '{node.name}' should match the case of the command majority ({casing})"
            )
            yield CheckWarning(rules.CONSISTENT_INSTRUCTION_CASING, detail, node.lines)
