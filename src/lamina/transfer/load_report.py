"""What `image_load` tells about its progress, in dockerd's words and order."""

from dataclasses import dataclass, field
from typing import Final

from lamina.oci.digest import Digest
from lamina.oci.reference import Reference
from lamina.progress import LayerProgress, Report, StreamText
from lamina.records.catalogue import Layer
from lamina.records.records import Records
from lamina.transfer.archive_intake import LayerTaken
from lamina.transfer.archived import ArchivedImage

_LONG_LAYER: Final = 512 << 10
"""Bytes in the archive from which on a layer is reported before all images are known."""


@dataclass(frozen=True, slots=True)
class ReadyImage:
    """An image all of whose parts are in the store."""

    archived: ArchivedImage
    layers: tuple[Layer, ...]


@dataclass(slots=True)
class Loaded:
    """What became of the images of an archive."""

    here: frozenset[Digest]
    """The chain IDs among the images' that were here before."""
    moved: dict[tuple[Digest, Reference], Digest] = field(default_factory=dict)
    """For an image and a name of it, the image which that name led to before, if another."""


class LayerReports:
    """Reports on the layers of an archive: long ones as they come, then image by image."""

    def __init__(self, records: Records, report: Report, *, quiet: bool) -> None:
        self._records = records
        self._report = report
        self._quiet = quiet
        self._sizes: dict[Digest, int] = {}
        self._told: set[Digest] = set()

    async def tell(self, taken: LayerTaken) -> None:
        """Report on a layer on its way in, unless it is short or here already."""
        diff_id = taken.diff_id
        self._sizes[diff_id] = taken.total
        if taken.total < _LONG_LAYER or diff_id in self._told:
            return
        if diff_id in self._records.catalogue.layers:
            return
        if taken.current == taken.total:
            self._told.add(diff_id)
        await self._tell(diff_id, taken.current, taken.total)

    async def tell_image(self, image: ReadyImage, here: set[Digest]) -> None:
        """Report on the layers of an image whose chain IDs are not `here` yet, and add those."""
        for chain_id, layer in zip(image.archived.config.chain_ids, image.layers, strict=True):
            if chain_id not in here:
                here.add(chain_id)
                if layer.diff_id not in self._told:
                    size = self._sizes.get(layer.diff_id, layer.tar_size)
                    await self._tell(layer.diff_id, size, size)
                self._told.discard(layer.diff_id)

    async def tell_directory(self, image: ReadyImage) -> None:
        """Report on the top layer of an image of the oldest format, by its directory's name."""
        layer, path = image.layers[-1], image.archived.layers[-1]
        size = self._sizes.get(layer.diff_id, layer.tar_size)
        if not self._quiet and layer.diff_id not in self._told:
            await self._report(LayerProgress(path[:12], "Loading layer", size, size))

    async def _tell(self, diff_id: Digest, current: int, total: int) -> None:
        if not self._quiet:
            await self._report(LayerProgress(diff_id.short, "Loading layer", current, total))


async def tell_loaded(
    report: Report, layers: LayerReports, images: list[ReadyImage], loaded: Loaded
) -> list[str]:
    """Report what was loaded, in dockerd's words and order; returns the names or IDs."""
    names: list[str] = []
    here = set(loaded.here)
    for image in images:
        await layers.tell_image(image, here)
        for name in image.archived.names:
            await _tell_moved(report, image, name, loaded)
            await report(StreamText(f"Loaded image: {name.familiar}\n"))
            names.append(name.familiar)
    if images and not images[-1].archived.names:
        # One message, and all images in it, those with names too.
        ids = [str(image.archived.config.digest) for image in images]
        await report(StreamText("".join(f"Loaded image ID: {image_id}\n" for image_id in ids)))
        names.extend(ids)
    return names


async def tell_legacy(
    report: Report, layers: LayerReports, images: list[ReadyImage], loaded: Loaded
) -> list[str]:
    """`tell_loaded` for the oldest format, of whose names dockerd tells only those that moved."""
    for image in images:
        await layers.tell_directory(image)
    names: list[str] = []
    for image in images:
        for name in image.archived.names:
            await _tell_moved(report, image, name, loaded)
            names.append(name.familiar)
    return names


async def _tell_moved(report: Report, image: ReadyImage, name: Reference, loaded: Loaded) -> None:
    old = loaded.moved.get((image.archived.config.digest, name))
    if old is not None:
        await report(
            StreamText(
                f"The image {name.familiar} already exists, renaming the old one with"
                f" ID {old} to empty string\n"
            )
        )
