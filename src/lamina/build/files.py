"""Files that a build copies or mounts: those of its context, and those of images."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Protocol

from lamina.build.context import BuildContext
from lamina.build.ledger import BuiltImage
from lamina.content.store import BlobStore
from lamina.content.threads import run_to_end
from lamina.layers.contents import LayerContents
from lamina.layers.index import IndexEntry, LayerIndex
from lamina.layers.tarheader import EntryType
from lamina.layers.tarwriter import END, header_bytes, padding
from lamina.layers.view import FileView, Found
from lamina.oci import mediatype
from lamina.records.catalogue import Layer
from lamina.runtime.layer_sources import sources_of
from lamina.snapshots.store import LayerSource
from lamina.transfer.layer_indexes import LayerIndexes

_PLAIN = frozenset({mediatype.OCI_LAYER, mediatype.DOCKER_LAYER})

Contents = Mapping[int, LayerContents]
"""By the place of the layer in its stack."""


class Files(Protocol):
    """A tree of files, and the way to their contents."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def view(self) -> FileView:
        """What is there."""

    @property
    def layers(self) -> tuple[LayerSource, ...]:
        """The same, to be unpacked."""

    @property
    def is_context(self) -> bool:
        """Whether it is the build's context, whose files belong to nobody in particular."""

    def hash_of(self, found: Found, /) -> str | None:
        """What `file_hash` gives for a file, where it is known already."""

    async def open(
        self, wanted: Mapping[int, Sequence[IndexEntry]], stack: AsyncExitStack, scratch: Path
    ) -> Contents:
        """The contents of files, by layer; they stay readable until `stack` is closed."""


class ContextFiles:
    """The files of the context."""

    is_context = True

    def __init__(self, context: BuildContext) -> None:
        self._context = context
        self.name = "the build context"
        self.view = FileView([context.index])
        self.layers = (LayerSource(context.digest, self._opened),)

    def hash_of(self, found: Found, /) -> str | None:
        """What was computed when the context came."""
        return self._context.hash_of(found.entry)

    @contextmanager
    def _opened(self) -> Iterator[Iterator[bytes]]:
        """A tar of what is not ignored."""
        entries = [entry for entry in self._context.index if entry.path]
        with LayerContents(
            lambda: nullcontext(self._context.pieces()),
            entries,
            file=self._context.fileno(),
            scratch=self._context.directory,
        ) as contents:
            yield packed(entries, contents)

    async def open(
        self, wanted: Mapping[int, Sequence[IndexEntry]], stack: AsyncExitStack, scratch: Path
    ) -> Contents:
        """The contents of files."""
        opened = {}
        for layer, entries in wanted.items():
            contents = LayerContents(
                lambda: nullcontext(self._context.pieces()),
                entries,
                file=self._context.fileno(),
                scratch=scratch,
            )
            opened[layer] = await _entered(contents, stack)
        return opened


class ImageFiles:
    """The files of an image whose layers stay, and whose `indexes` are at hand; or made by `of`."""

    is_context = False

    def __init__(
        self,
        name: str,
        layers: Sequence[Layer],
        indexes: Sequence[LayerIndex],
        blobs: BlobStore,
    ) -> None:
        self.name = name
        self.view = FileView(indexes)
        self._blobs = blobs
        self._layers = tuple(layers)
        self.layers = tuple(sources_of(self._layers, blobs))

    @classmethod
    async def of(
        cls, name: str, image: BuiltImage | None, indexes: LayerIndexes, blobs: BlobStore
    ) -> "ImageFiles":
        """Those of an image that stays meanwhile; None is one without any."""
        layers = () if image is None else image.layers
        return cls(name, layers, await indexes.of(layers), blobs)

    def hash_of(self, _found: Found, /) -> str | None:
        """Nothing is known of them."""
        return None

    async def open(
        self, wanted: Mapping[int, Sequence[IndexEntry]], stack: AsyncExitStack, scratch: Path
    ) -> Contents:
        """The contents of files. Raises BlobNotFound, InvalidLayer."""
        opened = {}
        for layer, entries in wanted.items():
            plain = [blob.digest for blob in self._layers[layer].blobs if blob.media_type in _PLAIN]
            file = None
            if plain:
                reader = await stack.enter_async_context(self._blobs.open(plain[0]))
                file = reader.fileno()
            source = self.layers[layer].open
            contents = LayerContents(source, entries, file=file, scratch=scratch)
            opened[layer] = await _entered(contents, stack)
        return opened


def packed(entries: Iterable[IndexEntry], contents: LayerContents) -> Iterator[bytes]:
    """A tar of these entries of one layer, in their order."""
    for entry in entries:
        is_file = entry.type is EntryType.REGULAR
        is_link = entry.type in (EntryType.HARD_LINK, EntryType.SYMLINK)
        yield header_bytes(
            entry.path,
            type=entry.type,
            size=entry.size if is_file else 0,
            mode=entry.mode,
            mtime_ns=entry.mtime_ns,
            uid=entry.uid,
            gid=entry.gid,
            link=entry.link if is_link else "",
            major=entry.major,
            minor=entry.minor,
            xattrs=entry.xattrs,
        )
        if is_file and entry.size:
            yield from contents.pieces(entry)
            yield padding(entry.size)
    yield END


async def _entered(contents: LayerContents, stack: AsyncExitStack) -> LayerContents:
    # Before it is entered: whoever is cancelled meanwhile has to leave it, too.
    stack.push_async_callback(run_to_end, contents.close)
    await run_to_end(contents.__enter__)
    return contents
