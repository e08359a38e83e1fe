"""``outputs``: where a build's result goes beside the images, as values. Pure.

``image`` (``moby`` to docker) gives it more names; ``docker`` and ``oci`` are an archive, which is
both; ``tar`` and ``local`` are the files of the result, as one tar and in a directory;
``cacheonly`` is nothing. What is written has a ``dest``: a path of this machine, or ``-`` for
whoever asked for the build.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from lamina.build.request import parse_tags
from lamina.errors import InvalidParameter
from lamina.models import ImageBuildOutput
from lamina.oci.reference import Reference

CALLER: Final = "-"
"""The destination that is whoever asked for the build."""

WRITTEN: Final = frozenset({"docker", "oci", "tar", "local"})
"""The types that are written somewhere."""

_ATTRIBUTES: Final[Mapping[str, frozenset[str]]] = {
    "image": frozenset({"name", "push"}),
    "moby": frozenset({"name", "push"}),
    "cacheonly": frozenset(),
    "docker": frozenset({"dest", "name", "tar"}),
    "oci": frozenset({"dest", "name", "tar"}),
    "tar": frozenset({"dest"}),
    "local": frozenset({"dest"}),
}


@dataclass(frozen=True, slots=True)
class Export:
    """What is written, and where: an image's archive, or its files.

    `path` is None for whoever asked; `names` are those in the archive, None for the image's.
    """

    kind: Literal["archive", "tar", "directory"]
    path: Path | None
    names: tuple[Reference, ...] | None = None


@dataclass(frozen=True, slots=True)
class CheckedOutputs:
    """Outputs, checked: more names for the image, and what is to be written."""

    names: tuple[Reference, ...]
    exports: tuple[Export, ...]


def check_outputs(outputs: Sequence[ImageBuildOutput]) -> CheckedOutputs:
    """Read the outputs of a request; those without a type are none. Raises InvalidParameter."""
    wanted = [output for output in outputs if output.type]
    for output in wanted:
        _check_attributes(output)
    images = [one for one in wanted if one.type in {"image", "moby"}]
    exports = tuple(_export(one) for one in wanted if one.type in WRITTEN)
    if sum(one.path is None for one in exports) > 1:
        raise InvalidParameter("multiple outputs not supported")
    return CheckedOutputs(tuple(name for one in images for name in _names(one) or ()), exports)


def _check_attributes(output: ImageBuildOutput) -> None:
    known = _ATTRIBUTES.get(output.type)
    if known is None:
        raise InvalidParameter(f"invalid output type: {output.type}")
    attrs = output.attrs or {}
    if unknown := sorted(attrs.keys() - known):
        raise InvalidParameter(f"unknown attribute of output {output.type}: {unknown[0]}")
    if attrs.get("push", "false").lower() not in {"false", "f", "0"}:
        raise InvalidParameter(
            f"output {output.type}: push is not supported: push the image when it is built"
        )
    if attrs.get("tar", "true").lower() not in {"true", "t", "1"}:
        raise InvalidParameter(f"output {output.type}: a layout in a directory is not supported")


def _names(output: ImageBuildOutput) -> tuple[Reference, ...] | None:
    text = (output.attrs or {}).get("name")
    return None if text is None else parse_tags(text.split(","))


def _export(output: ImageBuildOutput) -> Export:
    dest = (output.attrs or {}).get("dest")
    if not dest:
        raise InvalidParameter(f"output {output.type} needs dest")
    path = None if dest == CALLER else Path(dest)
    if output.type in {"docker", "oci"}:
        return Export("archive", path, _names(output))
    # A directory can go nowhere but to the disk: to others it is a tar.
    return Export("tar" if output.type == "tar" or path is None else "directory", path)


def parse_output(text: str) -> ImageBuildOutput:
    """``type=TYPE,dest=PATH``, or a directory, or ``-`` for a tar to whoever asks.

    Raises InvalidParameter.
    """
    if text == CALLER:
        return ImageBuildOutput(type="tar", attrs={"dest": CALLER})
    if "=" not in text:
        return ImageBuildOutput(type="local", attrs={"dest": text})
    attrs = csv_fields(text, "output")
    if not (kind := attrs.pop("type", "")):
        raise InvalidParameter("type is required for output")
    return ImageBuildOutput(type=kind, attrs=attrs)


def csv_fields(text: str, what: str) -> dict[str, str]:
    """``KEY=VALUE,KEY=VALUE``, keys in lower case, fields quoted as in CSV.

    Raises InvalidParameter, which says `what` has the field that is none.
    """
    fields: dict[str, str] = {}
    try:
        [row] = csv.reader([text], strict=True)
    except (csv.Error, ValueError) as error:
        raise InvalidParameter(f"invalid {what}: {error}") from error
    for field in row:
        key, equals, value = field.partition("=")
        if not equals:
            raise InvalidParameter(f"invalid field '{field}' must be a key=value pair in {what}")
        fields[key.strip().lower()] = value
    return fields
