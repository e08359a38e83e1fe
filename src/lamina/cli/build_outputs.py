"""Where ``lamina build --output`` writes: some of it the engine does, some this process."""

import asyncio
import io
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lamina.build.exporting import check_outputs
from lamina.cli.written_file import written_file
from lamina.errors import InvalidParameter
from lamina.image_api import ImageApi
from lamina.models import ImageBuildOutput
from lamina.packing.context import piped_context
from lamina.streams import ByteStream

_STDOUT: Final = "-"


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of a build, by who writes them."""

    by_engine: tuple[ImageBuildOutput, ...]
    archives: tuple[Path | None, ...]
    """Files of what `image_get` gives; None is stdout."""
    by_us: tuple[ImageBuildOutput, ...]
    """What this process makes of what `image_get` gives."""
    takes_stdout: bool
    """Nothing else may be written there."""

    async def save(self, api: ImageApi, image_id: str) -> None:
        """Write what is left to this process."""
        for path in self.archives:
            async with api.image_get(image_id) as archive:
                with written_file(path) as file:
                    async for chunk in archive:
                        await asyncio.to_thread(file.write, chunk)
        if self.by_us:
            async with api.image_get(image_id) as archive:
                await _export(archive, image_id, self.by_us)


def divide(outputs: Sequence[ImageBuildOutput], *, is_here: bool) -> Outputs:
    """Divide them; an engine that `is_here`, in this process, writes to this machine's files.

    Raises InvalidParameter for what is no output, and for a terminal.
    """
    check_outputs([one for one in outputs if one.type != "docker"])
    by_engine: list[ImageBuildOutput] = []
    by_us: list[ImageBuildOutput] = []
    archives: list[Path | None] = []
    destinations = [(one.attrs or {}).get("dest", "") for one in outputs]
    for output, destination in zip(outputs, destinations, strict=True):
        if output.type == "docker":
            if destination:
                archives.append(None if destination == _STDOUT else Path(destination))
        elif is_here or output.type == "image":
            by_engine.append(_named(output))
        else:
            by_us.append(_named(output))
    takes_stdout = _STDOUT in destinations
    if takes_stdout and sys.stdout.isatty():
        raise InvalidParameter(
            "refusing to write an archive to a terminal: name a file, or redirect"
        )
    return Outputs(tuple(by_engine), tuple(archives), tuple(by_us), takes_stdout=takes_stdout)


async def _export(archive: ByteStream, image_id: str, outputs: Sequence[ImageBuildOutput]) -> None:
    """Write what another engine has made: one of our own takes it in, and gives it out."""
    from lamina.engine import Engine

    with tempfile.TemporaryDirectory(prefix="lamina-output-") as directory:
        async with Engine.open(Path(directory)) as engine:
            await engine.image_load(archive, quiet=True)
            context = await piped_context(io.BytesIO(f"FROM {image_id}\n".encode()))
            await engine.image_build(input_stream=context.stream, outputs=outputs)


def _named(output: ImageBuildOutput) -> ImageBuildOutput:
    attrs = output.attrs or {}
    if attrs.get("dest") != _STDOUT or output.type == "local":
        return output
    return ImageBuildOutput(type=output.type, attrs={**attrs, "dest": "/dev/stdout"})
