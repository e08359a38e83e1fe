"""Building in tests: a context out of texts, what a build says, what is in an image."""

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

from lamina.engine import Engine
from lamina.progress import BuildStep, Operation, StreamText
from tests.real.images import Entry, file, layer, tar_of

Context = Mapping[str, str] | Sequence[Entry]


def context(dockerfile: str, files: Context = ()) -> io.BytesIO:
    if isinstance(files, Mapping):
        texts = {"Dockerfile": dockerfile, **files}
        return io.BytesIO(tar_of({name: text.encode() for name, text in texts.items()}))
    return io.BytesIO(layer(*files, file("Dockerfile", dockerfile)))


def begin(
    engine: Engine,
    dockerfile: str,
    files: Context = (),
    **parameters: Any,  # noqa: ANN401 - as `image_build` has them
) -> Operation[str]:
    return engine.image_build(input_stream=context(dockerfile, files), **parameters)


async def build(
    engine: Engine,
    dockerfile: str,
    files: Context = (),
    **parameters: Any,  # noqa: ANN401 - as `image_build` has them
) -> str:
    return await begin(engine, dockerfile, files, **parameters)


async def said(operation: Operation[str]) -> str:
    """All the text of a build."""
    return "".join([event.text async for event in operation if isinstance(event, StreamText)])


async def steps(operation: Operation[str]) -> list[BuildStep]:
    return [event async for event in operation if isinstance(event, BuildStep)]


async def layers(engine: Engine, image_id: str) -> list[dict[str, tarfile.TarInfo]]:
    """The entries of an image's layers, base first, by path."""
    async with engine.image_get(image_id) as stream:
        raw = b"".join([chunk async for chunk in stream])
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        manifest = json.loads(_read(archive, "manifest.json"))
        tars = [_read(archive, name) for name in manifest[0]["Layers"]]
    found = []
    for tar in tars:
        with tarfile.open(fileobj=io.BytesIO(tar)) as entries:
            found.append({entry.name: entry for entry in entries})
    return found


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.extractfile(name)
    assert member is not None
    return member.read()
