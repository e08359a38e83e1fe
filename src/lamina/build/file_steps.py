"""The steps that bring files: WORKDIR, COPY and ADD."""

from contextlib import AsyncExitStack

from msgspec.structs import replace

from lamina.build.copying import CopyStep, has_directory
from lamina.build.files import Files
from lamina.build.ledger import BuiltImage
from lamina.build.state import StageState, unix_ns
from lamina.dockerfile import instructions as ins
from lamina.dockerfile.shellwords import Expander, Expansions
from lamina.errors import LaminaError
from lamina.records.catalogue import Layer


async def change_directory(state: StageState, instruction: ins.Workdir) -> None:
    """WORKDIR: the directory is made if it is not there."""
    state.editor.apply(instruction)
    path = state.editor.config.working_dir
    below: list[Files] = []

    async def check() -> None:
        below.append(await state.tools.files_of(state.image))
        has_directory(path, below[0])

    async def make(now: int) -> Layer | None:
        return await state.tools.copier.working_directory(
            path, below[0], now=now, latest=state.latest
        )

    await state.commit((*state.editor.shell, f"#(nop) WORKDIR {path}"), make, check=check)


async def transfer(state: StageState, instruction: ins.Copy | ins.Add) -> None:
    """COPY and ADD. Raises LaminaError in dockerd's words."""
    expanded = instruction.expanded(state.expand_at(instruction))
    in_text = Expander(escape=state.escape, quotes_are_text=True)
    expansions = Expansions(in_text, state.editor.variables)
    expanded = expanded.with_files_expanded(expansions.text)
    name = expanded.source_from if isinstance(expanded, ins.Copy) else ""
    files = await _source(state, name)
    async with AsyncExitStack() as stack:
        copied = await state.tools.copier.find(
            expanded, files, stack, report=state.tools.section.tell
        )
        await _copy(state, copied)


async def _copy(state: StageState, copied: CopyStep) -> None:
    config = state.editor.config
    step = replace(config, cmd=(*state.editor.shell, f"#(nop) {copied.comment}"))
    if await state.take_from_cache(step):
        return
    created, _ = state.moment(step)

    async def work() -> BuiltImage:
        base = await state.tools.files_of(state.image)
        layer = await state.tools.copier.copy(
            copied,
            base,
            working_dir=config.working_dir,
            now=unix_ns(created),
            latest=state.latest,
        )
        image = state.derived(step, layer, created)
        await state.tools.ledger.record([image])
        return image

    await state.make(step, work)


async def _source(state: StageState, name: str) -> Files:
    """What ``--from`` means. Raises LaminaError in dockerd's words."""
    try:
        return await state.tools.files(name)
    except LaminaError as error:
        raise LaminaError(f"invalid from flag value {name}: {error}") from error
