"""One stage: its steps one after another, each taken from the cache or made."""

from lamina.build.config_steps import configure, declare
from lamina.build.file_steps import change_directory, transfer
from lamina.build.ledger import BuiltImage
from lamina.build.plan import PlannedStage
from lamina.build.run_step import run
from lamina.build.state import StageState
from lamina.dockerfile import instructions as ins
from lamina.dockerfile.stages import parse_trigger


class StageBuilder:
    """Builds one stage."""

    def __init__(self, planned: PlannedStage, state: StageState) -> None:
        self._planned = planned
        self._state = state
        base = state.image
        self.triggers = () if base is None else base.config.config.on_build or ()

    @property
    def image(self) -> BuiltImage | None:
        """The stage's image so far."""
        return self._state.image

    async def run_triggers(self) -> None:
        """The ONBUILD instructions of the base, as a part of the FROM."""
        if not self.triggers:
            return
        section = self._state.tools.section
        await section.text(f"# Executing {len(self.triggers)} build trigger")
        if len(self.triggers) > 1:
            await section.text("s")
        await section.text("\n")
        for text in self.triggers:
            trigger = parse_trigger(text, self._planned.stage.lines, escape=self._state.escape)
            await self._dispatch(trigger)

    async def run_step(
        self, instruction: ins.Instruction, *, number: int, total: int, step_id: str
    ) -> bool:
        """One step behind the FROM; whether it was taken from the cache.

        `number` and `total` are of the whole build, `step_id` is what its output is told under.
        """
        state = self._state
        await state.tools.section.text(f"Step {number}/{total} : {instruction.code}")
        await state.tools.section.text("\n")
        state.step_id = step_id
        await self._dispatch(instruction)
        assert state.image is not None
        await state.tools.section.text(f" ---> {state.image.id.short}\n")
        return state.was_cached

    async def finish(self) -> None:
        """The end of the stage: what it took from the cache stays until the build has ended."""
        await self._state.secure()

    async def _dispatch(self, instruction: ins.Instruction) -> None:
        """Make the instruction's change. Raises LaminaError."""
        state = self._state
        state.was_cached = False
        match instruction:
            case ins.Arg():
                await declare(state, instruction)
            case ins.Workdir():
                await change_directory(state, instruction)
            case ins.Run():
                await run(state, instruction)
            case ins.Copy() | ins.Add():
                await transfer(state, instruction)
            case _:
                await configure(state, instruction)
        state.follow()
