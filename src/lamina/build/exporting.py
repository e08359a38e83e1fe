"""``outputs``: where a build's result goes, beside the images.

``image`` gives it more names. ``docker`` and ``oci`` write the archive that `image_get` gives,
which is both. ``tar`` writes the root filesystem as one tar, ``local`` into a directory. All but
the first need ``dest``, a path of the machine that builds: they are for callers in its process.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from lamina.build.copied_layer import tar_of
from lamina.build.files import ImageFiles
from lamina.build.flattening import flattened
from lamina.build.request import parse_tags
from lamina.content.threads import run_to_end
from lamina.errors import InvalidParameter
from lamina.layers.apply import ApplyOptions, apply_layer
from lamina.layers.index import LayerIndex
from lamina.layers.ownership import Ownership
from lamina.models import ImageBuildOutput
from lamina.oci.reference import Reference
from lamina.streams import ByteStream
from lamina.transfer.resources import Resources
from lamina.transfer.save import save_images

_TO_FILES: Final = frozenset({"docker", "oci", "tar"})
_TYPES: Final = _TO_FILES | {"image", "local"}


@dataclass(frozen=True, slots=True)
class Destination:
    """An output, checked: its type, and where it goes (None for an image)."""

    type: str
    path: Path | None
    names: tuple[Reference, ...] = ()


def check_outputs(outputs: Sequence[ImageBuildOutput]) -> list[Destination]:
    """Read the outputs of a request. Raises InvalidParameter."""
    return [_check(output) for output in outputs if output.type]


def _check(output: ImageBuildOutput) -> Destination:
    attrs = output.attrs or {}
    if output.type not in _TYPES:
        raise InvalidParameter(f"invalid output type: {output.type}")
    known = {"name"} if output.type == "image" else {"dest"}
    if unknown := sorted(attrs.keys() - known):
        raise InvalidParameter(f"unknown attribute of output {output.type}: {unknown[0]}")
    if output.type == "image":
        return Destination("image", None, parse_tags(attrs.get("name", "").split(",")))
    if not attrs.get("dest"):
        raise InvalidParameter(f"output {output.type} needs dest")
    return Destination(output.type, Path(attrs["dest"]))


async def export(
    destination: Destination,
    image_id: str,
    files: ImageFiles,
    indexes: Sequence[LayerIndex],
    *,
    resources: Resources,
    scratch: Path,
) -> None:
    """Write the result. Raises OSError."""
    path = destination.path
    if path is None:
        return
    if destination.type in {"docker", "oci"}:
        async with save_images(resources, [image_id]) as archive:
            await _save(archive, path)
        return
    async with AsyncExitStack() as stack:
        additions = await run_to_end(lambda: flattened(files, indexes))
        pieces = await tar_of(additions, stack, scratch)
        if destination.type == "tar":
            await run_to_end(lambda: _write(pieces, path))
        else:
            await run_to_end(lambda: _unpack(pieces, path))


async def _save(archive: ByteStream, path: Path) -> None:
    with path.open("wb") as file:
        async for chunk in archive:
            await run_to_end(partial(file.write, chunk))


def _write(pieces: Iterator[bytes], path: Path) -> None:
    with path.open("wb") as file:
        for piece in pieces:
            file.write(piece)


def _unpack(pieces: Iterator[bytes], path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    ownership = Ownership.SET if os.geteuid() == 0 else Ownership.RECORDED
    apply_layer(pieces, path, ApplyOptions(ownership=ownership, whiteouts=False))
