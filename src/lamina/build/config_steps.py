"""The steps that change an image's configuration and nothing else."""

from msgspec.structs import replace

from lamina.build.comments import command_comment, comment_of, overridden
from lamina.build.state import StageState
from lamina.dockerfile import instructions as ins
from lamina.records.catalogue import Layer


async def configure(state: StageState, instruction: ins.Instruction) -> None:
    """Make the change of any instruction that is none of files. Raises DockerfileError."""
    before = state.editor.config.healthcheck
    expanded = state.editor.apply(instruction)
    config = state.editor.config
    match expanded:
        case ins.Maintainer(maintainer=name):
            state.author = name
        case ins.Healthcheck(config=healthcheck):
            if note := overridden(before):
                await state.tools.section.text(note)
            state.editor.config = replace(config, healthcheck=healthcheck.over(before))
        case _:
            pass
    if isinstance(expanded, ins.Cmd):
        comment = command_comment(expanded, config.cmd or ())
    elif isinstance(expanded, ins.Entrypoint):
        if not expanded.command.words:
            # The classic builder has none then, where a commit has an empty one.
            state.editor.config = replace(config, entrypoint=None)
        comment = command_comment(expanded, config.entrypoint or ())
    else:
        comment = comment_of(expanded)
    await state.commit((*state.editor.shell, "#(nop) ", comment), no_layer)


async def declare(state: StageState, instruction: ins.Arg) -> None:
    """ARG: what is recorded is the default, whatever value the build was given."""
    expanded = instruction.expanded(state.expand_at(instruction))
    for argument in expanded.arguments:
        state.arguments.declare(argument)
    comment = comment_of(expanded)
    await state.commit((*state.editor.shell, "#(nop) ", comment), no_layer)


async def no_layer(_: int) -> Layer | None:
    """What such a step changes of files."""
    return None
