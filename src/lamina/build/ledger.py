"""The images of a build's steps, and how they get into the records.

A step that changes only the configuration makes an image in memory; it is written down together
with others: with the next step that makes a layer, or at the end of the build. So a build of thirty
such steps waits for the disk about as often as a build of one.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from lamina.errors import ImageNotFound
from lamina.oci.config import ImageConfig
from lamina.oci.digest import Digest
from lamina.oci.reference import Reference
from lamina.records.catalogue import Catalogue, Image, Layer
from lamina.records.changes import PutImage, PutLayer
from lamina.records.happenings import put_tag
from lamina.records.records import Transaction
from lamina.transfer.images import image_record
from lamina.transfer.incoming import Incoming
from lamina.transfer.resources import Resources


@dataclass(eq=False, slots=True, weakref_slot=True)
class BuiltImage:
    """The image after a step: its configuration, its layers from the base up, and its parent.

    `is_local` is false for a base that came from elsewhere; `is_recorded` tells whether it is, or
    was, in the records.
    """

    config: ImageConfig
    layers: tuple[Layer, ...]
    parent: "BuiltImage | None" = None
    is_local: bool = True
    is_recorded: bool = False
    id: Digest = field(init=False)

    def __post_init__(self) -> None:
        self.id = self.config.digest

    @classmethod
    def known(
        cls,
        catalogue: Catalogue,
        image: Image,
        config: ImageConfig,
        parent: "BuiltImage | None" = None,
    ) -> "BuiltImage":
        """An image of the records."""
        layers = tuple(catalogue.layers[diff_id] for diff_id in image.diff_ids)
        return cls(config, layers, parent, is_local=image.locally_built, is_recorded=True)

    def lineage(self) -> Iterator["BuiltImage"]:
        """This image and those it was built on, as far as this build knows them."""
        image: BuiltImage | None = self
        while image is not None:
            yield image
            image = image.parent


_PENDING: Final = 64
"""Images of one line that are held before they are written down."""


class Ledger:
    """Writes the images of one build down; a lease protects what they need meanwhile."""

    def __init__(self, resources: Resources, coming: Incoming) -> None:
        self._resources = resources
        self._coming = coming

    @property
    def coming(self) -> Incoming:
        """Blobs on their way in."""
        return self._coming

    def is_there(self, image: BuiltImage) -> bool:
        """Whether an image was not deleted, nor what it is yet to be written down on."""
        images = self._resources.records.catalogue.images
        known = (one.id in images for one in image.lineage() if one.is_recorded)
        return next(known, True)

    async def secure(self, image: BuiltImage) -> None:
        """Keep an image that others made from being swept away while this build uses it.

        Raises ImageNotFound if it is gone already.
        """

        def find(catalogue: Catalogue) -> tuple[None, Iterable[Digest]]:
            for ancestor in image.lineage():
                if ancestor.id in catalogue.images:
                    blobs = (blob.digest for layer in ancestor.layers for blob in layer.blobs)
                    return None, (ancestor.id, *blobs)
                if ancestor.is_recorded:
                    raise ImageNotFound(str(ancestor.id))
            return None, ()

        await self._coming.lease.claim(find)

    async def keep_up(self, image: BuiltImage) -> None:
        """Write an image's line down if much of it has come together."""
        pending = itertools.takewhile(lambda one: not one.is_recorded, image.lineage())
        if sum(1 for _ in itertools.islice(pending, _PENDING)) == _PENDING:
            await self.record([image])

    async def record(
        self,
        images: Iterable[BuiltImage],
        *,
        tags: Iterable[Reference] = (),
        result: BuiltImage | None = None,
    ) -> None:
        """Write down images with everything they were built on, and give `result` its tags.

        Raises ImageNotFound if the result is an image that was deleted meanwhile.
        """
        pending = _pending(images)
        if not pending and not tags:
            return
        await self._coming.store_documents({image.id: image.config.raw for image in pending})
        now = self._resources.now()

        def write(transaction: Transaction) -> None:
            for image in pending:
                _put(transaction, image, pending)
            if result is not None:
                _tag(transaction, result, tags, now)

        await self._resources.records.change(write)
        for image in pending:
            image.is_recorded = True
            # Of what is written down nobody needs to hold the whole line.
            image.parent = None
            self._coming.recorded((image.id, *_blobs(image)))


def _pending(images: Iterable[BuiltImage]) -> list[BuiltImage]:
    """What is not written down yet, ancestors first and each once."""
    pending: dict[Digest, BuiltImage] = {}
    for image in images:
        line = [ancestor for ancestor in image.lineage() if not ancestor.is_recorded]
        pending.update((ancestor.id, ancestor) for ancestor in reversed(line))
    return list(pending.values())


def _put(transaction: Transaction, image: BuiltImage, others: Sequence[BuiltImage]) -> None:
    """Write an image down, or its parent if it is known without; one that is gone is none."""
    known = transaction.catalogue.images
    # Looked at once: this is another thread, and who has it written down lets go of it.
    above, parent = image.parent, None
    if above is not None and (above.id in known or above in others):
        parent = above.id
    old = known.get(image.id)
    if old is not None:
        if old.parent is None and parent is not None:
            transaction.do(PutImage(replace(old, parent=parent)))
        return
    for layer in image.layers:
        if layer.diff_id not in transaction.catalogue.layers:
            transaction.do(PutLayer(layer))
    record = image_record(image.config, image.layers, parent=parent, locally_built=image.is_local)
    transaction.do(PutImage(record))


def _tag(transaction: Transaction, result: BuiltImage, tags: Iterable[Reference], now: int) -> None:
    image = transaction.catalogue.images.get(result.id)
    if image is None:
        if result.is_recorded:
            raise ImageNotFound(str(result.id))
        image = image_record(result.config, result.layers)
    for tag in tags:
        put_tag(transaction, image, tag, target=None, now=now)


def _blobs(image: BuiltImage) -> Iterator[Digest]:
    return (blob.digest for layer in image.layers for blob in layer.blobs)
