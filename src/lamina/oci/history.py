"""The history of an image: one entry for each step that made it (OCI image-spec, config.md)."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from lamina.errors import InvalidManifest
from lamina.oci.digest import Digest
from lamina.oci.timestamp import parse_timestamp


class HistoryEntry(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    rename={"created_text": "created"},
):
    """One step. `created_text` is the time as it was written; `empty_layer` steps made no layer."""

    created_text: str = ""
    author: str = ""
    created_by: str = ""
    comment: str = ""
    empty_layer: bool = False

    @property
    def created(self) -> datetime | None:
        """When the step was made, to microseconds; None if that is not told."""
        return parse_timestamp(self.created_text)


def layers_of_history(
    history: Iterable[HistoryEntry], diff_ids: Sequence[Digest]
) -> list[tuple[HistoryEntry, int | None]]:
    """Each entry with its layer's place among `diff_ids`, None for an empty layer; oldest first.

    Layers beyond the last entry belong to none. Raises InvalidManifest if layers are too few.
    """
    paired: list[tuple[HistoryEntry, int | None]] = []
    layer = 0
    for entry in history:
        if entry.empty_layer:
            paired.append((entry, None))
            continue
        if layer == len(diff_ids):
            raise InvalidManifest("too many non-empty layers in History section")
        paired.append((entry, layer))
        layer += 1
    return paired
