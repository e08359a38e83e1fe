"""Several layers as one: for ``squash``, and for a root filesystem that leaves as a tar."""

import posixpath
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from lamina.build.additions import Additions
from lamina.build.copied_layer import store_additions
from lamina.build.files import ImageFiles
from lamina.build.ledger import BuiltImage
from lamina.content.threads import run_to_end
from lamina.layers.footprint import WHITEOUT_PREFIX
from lamina.layers.index import OPAQUE_MARKER, LayerIndex
from lamina.layers.tarheader import EntryType
from lamina.layers.view import FileView
from lamina.oci.config import HistoryEntry, ImageConfig
from lamina.oci.rootfs import RootFS
from lamina.oci.timestamp import format_unix
from lamina.records.catalogue import Layer
from lamina.transfer.incoming import Incoming


def flattened(
    files: ImageFiles, indexes: Sequence[LayerIndex], *, over: FileView | None = None
) -> Additions:
    """All that layers make together; `over` a base, with what they remove of it.

    For a worker thread.
    """
    additions = Additions(FileView([]), now=0)
    additions.take_over(files, indexes, implied=over is None)
    if over is not None:
        for path in _removals(files.view, indexes, over):
            additions.mark(path)
    return additions


def _removals(view: FileView, indexes: Sequence[LayerIndex], base: FileView) -> list[str]:
    """The whiteouts that several layers over a base amount to."""
    opaque: set[str] = set()
    gone: set[str] = set()
    for index in indexes:
        opaque.update(path for path in index.opaques if _is_directory(view, path))
        for path in index.whiteouts:
            if view.get(path) is None:
                if base.get(path) is not None:
                    gone.add(path)
            elif _is_directory(view, path):
                # Gone, and then made anew: nothing that is below shows through.
                opaque.add(path)
        opaque.update(
            entry.path
            for entry in index
            if entry.type is not EntryType.DIRECTORY and _is_directory(view, entry.path)
        )
    hidden = opaque | gone
    markers = [
        posixpath.join(posixpath.dirname(path), WHITEOUT_PREFIX + posixpath.basename(path))
        for path in gone
        if not _is_below(path, hidden)
    ]
    return markers + [posixpath.join(path, OPAQUE_MARKER) for path in opaque]


def _is_directory(view: FileView, path: str) -> bool:
    found = view.get(path)
    return found is not None and found.is_directory


def _is_below(path: str, directories: set[str]) -> bool:
    parent = posixpath.dirname(path)
    while parent:
        if parent in directories:
            return True
        parent = posixpath.dirname(parent)
    return "" in directories


def squashed(image: BuiltImage, base: BuiltImage | None, layer: Layer, now: int) -> BuiltImage:
    """The image with one layer in place of all above its base, as dockerd tells of it."""
    config = image.config
    kept = 0 if base is None else len(base.config.history)
    history = [
        entry if place < kept else replace(entry, empty_layer=True)
        for place, entry in enumerate(config.history)
    ]
    created = format_unix(now)
    what = f"create new from {image.id}" if base is None else f"merge {image.id} to {base.id}"
    history.append(HistoryEntry(created_text=created, comment=what))
    layers = (*(() if base is None else base.layers), layer)
    made = ImageConfig(
        architecture=config.architecture,
        author=config.author,
        config=config.config,
        container=config.container,
        container_config=config.container_config,
        created_text=created,
        docker_version=config.docker_version,
        history=tuple(history),
        os=config.os,
        os_features=config.os_features,
        os_version=config.os_version,
        rootfs=RootFS(diff_ids=tuple(one.diff_id for one in layers)),
        variant=config.variant,
    )
    return BuiltImage(made, layers, is_local=False)


async def squash(
    files: ImageFiles,
    indexes: Sequence[LayerIndex],
    *,
    over: FileView,
    coming: Incoming,
    scratch: Path,
) -> Layer:
    """One layer that does what several do."""
    additions = await run_to_end(lambda: flattened(files, indexes, over=over))
    return await store_additions(additions, coming, scratch)
