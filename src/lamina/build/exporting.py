"""Writing an image, or its files, to where the `outputs` of a build want it."""

import os
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from lamina.build.copied_layer import tar_of
from lamina.build.files import ImageFiles
from lamina.build.flattening import flattened
from lamina.build.outputs import Export
from lamina.content.threads import run_to_end
from lamina.content.whole_file import whole_file
from lamina.layers.apply import ApplyOptions, LayerApplier
from lamina.layers.ownership import Ownership
from lamina.oci.digest import Digest
from lamina.oci.reference import Reference
from lamina.progress import BuildArchive, Report
from lamina.records.catalogue import Layer
from lamina.transfer.layer_indexes import LayerIndexes
from lamina.transfer.resources import Resources
from lamina.transfer.save import save_image

_PART: Final = 1 << 16
"""Bytes in one event at most: dozens of events may wait for their reader."""

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporter:
    """Writes one image, which must stay meanwhile; `names` are those it has in an archive."""

    id: Digest
    layers: tuple[Layer, ...]
    names: tuple[Reference, ...]
    resources: Resources
    indexes: LayerIndexes
    scratch: Path

    async def write(self, export: Export, report: Report) -> None:
        """Write it; what goes to whoever asked is reported. Raises OSError."""
        if export.kind == "archive":
            names = self.names if export.names is None else export.names
            async with save_image(self.resources, self.id, names) as archive:
                await _deliver(archive, export.path, report)
            return
        async with self._tar() as tar:
            if export.kind == "directory" and export.path is not None:
                await _unpack(tar, export.path)
            else:
                await _deliver(tar, export.path, report)

    @asynccontextmanager
    async def _tar(self) -> AsyncIterator[AsyncIterable[bytes]]:
        """All files of the image as one tar."""
        indexes = await self.indexes.of(self.layers)
        files = ImageFiles("the image", self.layers, indexes, self.resources.blobs)
        additions = await run_to_end(lambda: flattened(files, indexes))
        async with AsyncExitStack() as stack:
            yield _stepwise(await tar_of(additions, stack, self.scratch))


async def _stepwise(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while piece := await run_to_end(partial(next, pieces, b"")):
        yield piece


async def _deliver(chunks: AsyncIterable[bytes], path: Path | None, report: Report) -> None:
    if path is None:
        async for chunk in chunks:
            for start in range(0, len(chunk), _PART):
                await report(BuildArchive(chunk[start : start + _PART]))
        return
    async with whole_file(path) as file:
        async for chunk in chunks:
            await run_to_end(partial(file.write, chunk))


async def _unpack(chunks: AsyncIterable[bytes], path: Path) -> None:
    ownership = Ownership.SET if os.geteuid() == 0 else Ownership.RECORDED
    with ExitStack() as stack:
        # The thread puts it there: whoever is cancelled meanwhile never sees the result.
        root = await run_to_end(partial(_open_directory, path, stack))
        with LayerApplier(root, ApplyOptions(ownership=ownership, whiteouts=False)) as applier:
            async for chunk in chunks:
                await run_to_end(partial(applier.feed, chunk))
            await run_to_end(applier.finish)


def _open_directory(path: Path, stack: ExitStack) -> int:
    path.mkdir(parents=True, exist_ok=True)
    directory = os.open(path, _DIRECTORY)
    stack.callback(os.close, directory)
    return directory
