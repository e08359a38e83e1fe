"""The oldest format of `docker save`: no manifest, a directory per layer (``json``, ``layer.tar``).

Every directory is an image of its own, whose ``json`` names its parent and is, but for a few keys,
the configuration; ``repositories`` gives the tags.
"""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from lamina.errors import InvalidArchive
from lamina.oci import jsontext
from lamina.oci.config import ImageConfig
from lamina.oci.digest import Digest
from lamina.oci.history import HistoryEntry
from lamina.oci.reference import Reference
from lamina.oci.rootfs import RootFS
from lamina.oci.timestamp import as_go_prints
from lamina.transfer.archived import ArchivedImage
from lamina.transfer.docker_archive import parse_tag
from lamina.transfer.images import MAX_LAYERS
from lamina.transfer.members import Members
from lamina.transfer.v1_layers import V1Image

REPOSITORIES = "repositories"
_MAX_CONFIGS: Final = 32 << 20
"""Bytes of all configurations made; each directory gives one, with everything below it."""
_FOREIGN_KEYS: Final = ("id", "parent", "Size", "parent_id", "layer_id", "throwaway")
"""What stands in a layer's ``json`` and not in an image configuration."""


_LAYER_JSON = jsontext.decoder(V1Image)
_OBJECT = jsontext.decoder(dict[str, msgspec.Raw])
_REPOSITORIES = jsontext.decoder(dict[str, dict[str, str]])


@dataclass(frozen=True, slots=True)
class _Step:
    """One directory, read."""

    image: ArchivedImage
    diff_ids: tuple[Digest, ...]
    history: tuple[HistoryEntry, ...]


def is_legacy_archive(members: Members) -> bool:
    """Whether there is anything in it that this format has."""
    return members.resolve(REPOSITORIES) is not None or bool(_directories(members))


def read_legacy_archive(members: Members) -> list[ArchivedImage]:
    """Every directory's image, parents first. Raises InvalidArchive."""
    tags = _tags(members)
    steps: dict[str, _Step] = {}
    size = 0
    for directory in _directories(members):
        for name in reversed(_lineage(members, directory, steps)):
            step = steps[name] = _read_step(members, name, steps, tags.pop(name, ()))
            size += step.image.config.size
            if size > _MAX_CONFIGS:
                raise InvalidArchive("invalid archive: too many layers")
    if tags:
        raise InvalidArchive(f"invalid archive: no image {next(iter(tags))}")
    return [step.image for step in steps.values()]


def encode_repositories(repositories: Mapping[str, Mapping[str, str]]) -> bytes:
    """``repositories``: names to tags to the ID of the top layer's directory."""
    return msgspec.json.encode(repositories, order="sorted") + b"\n"


def _directories(members: Members) -> list[str]:
    return sorted(
        directory
        for directory, name in map(posixpath.split, members.by_path)
        if name == "json" and directory and "/" not in directory
    )


def _tags(members: Members) -> dict[str, tuple[Reference, ...]]:
    raw = members.document(REPOSITORIES)
    if raw is None:
        return {}
    repositories = jsontext.decode(_REPOSITORIES, raw, what=REPOSITORIES)
    tags: dict[str, tuple[Reference, ...]] = {}
    for name, entries in repositories.items():
        for tag, directory in entries.items():
            tags[directory] = (*tags.get(directory, ()), parse_tag(f"{name}:{tag}"))
    return tags


def _lineage(members: Members, directory: str, known: dict[str, _Step]) -> list[str]:
    """`directory` and its ancestors that are not known yet, youngest first."""
    lineage: list[str] = []
    while directory and directory not in known:
        if len(lineage) > MAX_LAYERS:
            raise InvalidArchive("max depth exceeded")
        lineage.append(directory)
        directory = _layer_json(members, directory)[0].parent
    return lineage


def _layer_json(members: Members, directory: str) -> tuple[V1Image, bytes]:
    path = f"{directory}/json"
    raw = members.document(path)
    if raw is None:
        raise InvalidArchive(f"open {path}: no such file or directory")
    return jsontext.decode(_LAYER_JSON, raw, what=path), raw


def _read_step(
    members: Members, directory: str, known: dict[str, _Step], names: tuple[Reference, ...]
) -> _Step:
    layer, raw = _layer_json(members, directory)
    parent = known.get(layer.parent)
    path = f"{directory}/layer.tar"
    diff_ids = (*(parent.diff_ids if parent else ()), members.layer(path).diff_id)
    history = (*(parent.history if parent else ()), _history_entry(layer))
    config = _config(layer, raw, diff_ids, history)
    image = ArchivedImage(
        config=config,
        layers=(*(parent.image.layers if parent else ()), path),
        names=names,
        parent=parent.image.config.digest if parent else None,
    )
    return _Step(image, diff_ids, history)


def _history_entry(layer: V1Image) -> HistoryEntry:
    """Dockerd's ``HistoryFromConfig``."""
    return HistoryEntry(
        created_text=as_go_prints(layer.created),
        author=layer.author,
        created_by=" ".join(layer.container_config.cmd or ()),
        comment=layer.comment,
    )


def _config(
    layer: V1Image, raw: bytes, diff_ids: tuple[Digest, ...], history: tuple[HistoryEntry, ...]
) -> ImageConfig:
    """Dockerd's ``MakeConfigFromV1Config``: the same JSON object, completed, its keys sorted.

    What Docker before 1.8.3 wrote, or nobody knows, keeps only the keys that are known.
    """
    if _version(layer.docker_version) < (1, 8, 3):
        layer = msgspec.structs.replace(layer, created=as_go_prints(layer.created))
        raw = jsontext.encode(layer)
    compact = jsontext.decode(_OBJECT, msgspec.json.format(raw, indent=-1), what="json")
    values: dict[str, object] = {**compact}
    for key in _FOREIGN_KEYS:
        values.pop(key, None)
    values["rootfs"] = RootFS(diff_ids=diff_ids)
    values["history"] = history
    return ImageConfig.parse(jsontext.encode(values))


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 0 for part in text.split("."))
