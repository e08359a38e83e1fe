"""`outputs` of a build on another engine, which has no way to the files of this machine.

Names are given there; what is to be written is written here, by an engine of our own that takes the
image in for as long. It is the one module of the client that knows an engine, and is loaded only
when there are outputs.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lamina.build.outputs import WRITTEN, check_outputs
from lamina.build.scratch import scratch_directory
from lamina.engine import Engine
from lamina.errors import EngineError
from lamina.image_api import ImageApi
from lamina.models import ImageBuildOutput
from lamina.progress import Report


@dataclass(frozen=True, slots=True)
class DividedOutputs:
    """Outputs by who makes them: names for the other engine to give, and what is written here."""

    names: tuple[str, ...]
    written: tuple[ImageBuildOutput, ...]


def divide(outputs: Sequence[ImageBuildOutput]) -> DividedOutputs:
    """Check outputs, and divide them. Raises InvalidParameter."""
    names = tuple(str(name) for name in check_outputs(outputs).names)
    return DividedOutputs(names, tuple(one for one in outputs if one.type in WRITTEN))


async def write_outputs(
    api: ImageApi,
    image_id: str,
    outputs: Sequence[ImageBuildOutput],
    *,
    names: Sequence[str],
    report: Report,
) -> None:
    """Write an image of `api`; in archives it has `names`. Raises OSError, EngineError."""
    if not outputs:
        return
    async with (
        scratch_directory(Path(tempfile.gettempdir())) as directory,
        Engine.open(directory) as engine,
    ):
        async with api.image_get(image_id) as archive:
            loaded = await engine.image_load(archive, quiet=True)
        if not loaded:
            raise EngineError("the engine gave no image")
        # By a name of the archive, or its ID here: there it may have another.
        async for event in engine.image_export(loaded[0], outputs=outputs, names=names):
            await report(event)
