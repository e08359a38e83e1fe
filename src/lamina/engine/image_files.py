"""The files of an image, read out of its layers as they lie in the store; nothing is unpacked."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from lamina.build.files import ImageFiles
from lamina.content.threads import run_to_end
from lamina.errors import InvalidParameter, NotFound
from lamina.layers.changes import Change
from lamina.layers.comparing import hidden_sizes, view_changes
from lamina.layers.index import LayerIndex
from lamina.layers.tarheader import EntryType
from lamina.layers.view import Found
from lamina.oci.config import ImageConfig
from lamina.oci.digest import Digest
from lamina.records.catalogue import Catalogue, Image, Layer
from lamina.records.lookup import find_image
from lamina.transfer.layer_indexes import LayerIndexes
from lamina.transfer.resources import Resources

_FILES = frozenset({EntryType.REGULAR, EntryType.HARD_LINK})


@dataclass(frozen=True, slots=True)
class LayerShare:
    """What a layer contributes to an image; sizes in bytes."""

    diff_id: Digest
    created_by: str
    """The step that made it, where the image's history tells."""
    size: int
    """Of the files in it."""
    hidden: int
    """Of those among them that a higher layer replaces or removes: wasted."""


class ImageTree:
    """The files of one image, which stays while this is open; made by `open_image`.

    Paths are as in the image, with or without a slash in front; links are followed as if the image
    were the root.
    """

    def __init__(
        self,
        config: ImageConfig,
        layers: Sequence[Layer],
        indexes: Sequence[LayerIndex],
        files: ImageFiles,
        scratch: Path,
    ) -> None:
        self._config = config
        self._layers = tuple(layers)
        self._indexes = tuple(indexes)
        self._files = files
        self.view = files.view
        self._scratch = scratch

    @property
    def id(self) -> Digest:
        """The image's ID."""
        return self._config.digest

    def find(self, path: str, *, follow_last: bool = True) -> tuple[str, Found]:
        """The true path of what is at a path (relative, empty for the root), and what it is.

        Raises NotFound, and InvalidParameter for links that go round.
        """
        true = self._files.view.resolve(path, follow_last=follow_last)
        found = self._files.view.get(true)
        if found is None:
            raise NotFound(f"{path}: no such file or directory in the image")
        return true, found

    def listing(self, path: str = "") -> list[tuple[str, Found]]:
        """What is in a directory, by name; of anything else it alone. Raises as `find`."""
        true, found = self.find(path, follow_last=True)
        if not found.is_directory:
            return [(true, found)]
        below = [f"{true}/{name}" if true else name for name in self._files.view.names(true)]
        entries = [(each, self._files.view.get(each)) for each in below]
        return [(each, entry) for each, entry in entries if entry is not None]

    def walk(self, path: str = "") -> list[tuple[str, Found]]:
        """All that is below a directory, sorted, each directory before what is in it."""
        return list(self._files.view.walk(self.find(path)[0]))

    async def read(self, path: str) -> AsyncIterator[bytes]:
        """The content of a file, in pieces. Raises NotFound, InvalidParameter (no file)."""
        _, found = self.find(path)
        if found.entry.type not in _FILES:
            what = "is a directory" if found.is_directory else "is no regular file"
            raise InvalidParameter(f"{path}: {what}")
        async with AsyncExitStack() as stack:
            wanted = {found.layer: (found.entry,)}
            opened = await self._files.open(wanted, stack, self._scratch)
            pieces = opened[found.layer].pieces(found.entry)
            while piece := await run_to_end(partial(next, pieces, b"")):
                yield piece

    async def shares(self) -> list[LayerShare]:
        """What each layer contributes, base first."""
        hidden = await run_to_end(lambda: hidden_sizes(self._indexes, self._files.view))
        steps = [entry.created_by for entry in self._config.history if not entry.empty_layer]
        return [
            LayerShare(layer.diff_id, created_by, layer.size, wasted)
            for layer, wasted, created_by in zip(
                self._layers, hidden, chain(steps, [""] * len(self._layers)), strict=False
            )
        ]

    async def changes(self, since: "ImageTree") -> list[Change]:
        """What makes this image of another, as ``docker diff`` counts changes."""
        old, new = since.view, self.view
        return await run_to_end(lambda: list(view_changes(old, new)))


@asynccontextmanager
async def held_image(
    resources: Resources, name: str
) -> AsyncIterator[tuple[Image, tuple[Layer, ...]]]:
    """The image that a name means and its layers, none of which can be lost meanwhile.

    Raises ImageNotFound, InvalidReference.
    """

    def find(catalogue: Catalogue) -> tuple[tuple[Image, tuple[Layer, ...]], list[Digest]]:
        image = find_image(catalogue, name)
        layers = tuple(catalogue.layers[diff_id] for diff_id in image.diff_ids)
        blobs = [blob.digest for layer in layers for blob in layer.blobs]
        return (image, layers), [image.id, *blobs]

    async with resources.records.lease() as lease:
        yield await lease.claim(find)


@asynccontextmanager
async def open_image(
    resources: Resources, indexes: LayerIndexes, scratch: Path, name: str
) -> AsyncIterator[ImageTree]:
    """The files of the image that a name means, which cannot be lost meanwhile.

    `scratch` is a directory for temporary files without a name. Raises ImageNotFound,
    InvalidReference.
    """
    async with held_image(resources, name) as (image, layers):
        config = await resources.configs.get(image.id)
        found = await indexes.of(layers)
        files = ImageFiles(name, layers, found, resources.blobs)
        yield ImageTree(config, layers, found, files, scratch)
