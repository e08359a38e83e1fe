"""Builds on two engines, and what of them must be equal: every message, every step's image."""

import contextlib
import io
import json
import re
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lamina.errors import LaminaError
from lamina.image_api import ImageApi
from lamina.models import ImageInspect
from lamina.progress import Aux, BuildOutput, BuildStep, StreamText
from tests.conformance.engines import EngineApi, load, saved
from tests.real.images import EPOCH, Entry, busybox_image, file, layer, tar_of

Parameters = Mapping[str, Any]

_MESSAGE = re.compile(
    r"Step | ---> |Removing |Success|\[Warning\]|# Exec|\n|s$|Note: |sha256:|{'ID'"
)
_IDS = re.compile(r"(?:sha256:)?\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b")


class Ids:
    """Numbers IDs in the order in which they are first seen."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def hide(self, text: str) -> str:
        return _IDS.sub(self._number, text)

    def _number(self, match: re.Match[str]) -> str:
        short = match[0].removeprefix("sha256:")[:12]
        name = self._seen.setdefault(short, f"<{len(self._seen)}>")
        return f"{name}…" if len(match[0]) > 12 else name


def context(dockerfile: str, files: Mapping[str, str] | None = None) -> io.BytesIO:
    """A context with a Dockerfile."""
    members = {"Dockerfile": dockerfile, **(files or {})}
    return io.BytesIO(tar_of({name: text.encode() for name, text in members.items()}))


def context_of(dockerfile: str, entries: Sequence[Entry]) -> io.BytesIO:
    """A context with a Dockerfile and these files."""
    return io.BytesIO(layer(*entries, file("Dockerfile", dockerfile)))


async def top_layers(api: ImageApi, image_id: str, count: int) -> list[list[object]]:
    """The entries of an image's highest layers; times that are not the context's are `new`."""
    raw = await saved(api, image_id)
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        manifest = json.loads(_member(archive, "manifest.json"))
        layers = [_member(archive, name) for name in manifest[0]["Layers"][-count:]]
    return [_entries(tar) for tar in layers]


def _entries(tar: bytes) -> list[object]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as entries:
        return [
            (
                *(one.name, oct(one.mode & 0o7777), one.uid, one.gid, one.type),
                *(one.size, one.linkname, "old" if one.mtime == EPOCH else "new"),
                sorted(one.pax_headers),
            )
            for one in entries
        ]


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    found = archive.extractfile(name)
    assert found is not None
    return found.read()


async def with_busybox(api: ImageApi) -> None:
    await load(api, busybox_image(), "busybox:latest")


async def transcript(
    api: ImageApi, body: io.BytesIO, ids: Ids, parameters: Parameters
) -> tuple[list[str], str]:
    """What a build says, with its error as the last line, and the ID of the result."""
    said: list[str] = []
    operation = api.image_build(input_stream=body, **parameters)
    try:
        async for event in operation:
            if isinstance(event, StreamText):
                text = ids.hide(event.text)
                # How what a command writes is cut into messages is a matter of time.
                if said and not any(_MESSAGE.match(one) for one in (text, said[-1])):
                    text = said.pop() + text
                said.append(text)
            elif isinstance(event, Aux):
                said.append(ids.hide(str(event.value)))
    except LaminaError as error:
        return [*said, f"{getattr(error, 'code', 0)} {ids.hide(str(error))}"], ""
    return said, operation.result


async def told_steps(api: ImageApi, dockerfile: str) -> list[list[str]]:
    """What a build tells of each step for programs: itself, its states, and what it wrote."""
    steps: dict[str, list[str]] = {}
    order: dict[str, int] = {}
    with contextlib.suppress(LaminaError):
        async for event in api.image_build(input_stream=context(dockerfile)):
            if isinstance(event, BuildStep):
                title = f"[{event.stage} {event.number}/{event.total}] {event.text}"
                steps.setdefault(event.id, [event.id, title]).append(event.state)
                order[event.id] = event.number
            elif isinstance(event, BuildOutput):
                steps[event.step].append(f"{'!' if event.is_stderr else ''}{event.text}")
    return [steps[id] for id in sorted(steps, key=order.__getitem__)]


async def family(api: EngineApi, image_id: str, ids: Ids) -> list[dict[str, Any]]:
    """An image and its parents, youngest first, and the history of the youngest."""
    images = []
    wanted = image_id
    while wanted:
        image = await api.image_inspect(wanted)
        images.append(_comparable(image, ids))
        wanted = image.parent
    history = [
        {
            "by": item.created_by,
            "size": item.size,
            "tags": item.tags,
            "known": item.id != "<missing>",
            "comment": item.comment,
        }
        for item in await api.image_history(image_id)
    ]
    return [*images, *history]


def _comparable(image: ImageInspect, ids: Ids) -> dict[str, Any]:
    value: dict[str, Any] = msgspec.to_builtins(image)
    left_out = ("GraphDriver", "Metadata", "Created", "DockerVersion", "RepoTags", "Size")
    for name in (*left_out, "VirtualSize"):
        value.pop(name, None)
    layers = value.pop("RootFS").get("Layers") or []
    text = ids.hide(msgspec.json.encode(value, order="sorted").decode())
    return {**msgspec.json.decode(text), "layers": len(layers)}


async def built(
    api: EngineApi,
    dockerfile: str,
    parameters: Parameters | None = None,
    *,
    files: Mapping[str, str] | None = None,
) -> object:
    """A build, and the same once more: what is said, and what is made."""
    ids = Ids()
    first, image_id = await transcript(api, context(dockerfile, files), ids, parameters or {})
    if not image_id:
        return first
    made = await family(api, image_id, ids)
    again, same = await transcript(api, context(dockerfile, files), ids, parameters or {})
    assert same == image_id
    return first, made, again
