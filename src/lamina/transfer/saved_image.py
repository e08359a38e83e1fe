"""Where the parts of an image that is to be saved lie."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from msgspec.structs import replace

from lamina.content.store import BlobStore
from lamina.errors import BlobNotFound
from lamina.oci import mediatype
from lamina.oci.config import ImageConfig
from lamina.oci.descriptor import Descriptor
from lamina.oci.digest import Digest
from lamina.oci.manifest import Manifest
from lamina.oci.reference import Reference
from lamina.records import catalogue as records
from lamina.records.catalogue import Catalogue, Image, Layer, LayerBlob
from lamina.records.records import Lease
from lamina.transfer import oci_layout
from lamina.transfer.made_manifest import make_oci_manifest
from lamina.transfer.resources import Resources

Find = Callable[[Catalogue], Mapping[Digest, tuple[Reference, ...]]]
"""Gives the images to save, each with the names it has in the archive."""

_PREFERENCE: Final = (
    mediatype.OCI_LAYER,
    mediatype.OCI_LAYER_GZIP,
    mediatype.OCI_LAYER_ZSTD,
)
"""Which of several blobs of a layer is taken: the one that the most readers understand."""


@dataclass(frozen=True, slots=True)
class SavedImage:
    """An image of an archive, with everything the archive says about it."""

    image: Image
    config: ImageConfig
    tags: tuple[Reference, ...]
    layers: tuple[LayerBlob, ...]
    """The blobs of its layers, base first."""
    descriptors: tuple[Descriptor, ...]
    """Its entries of ``index.json``: one a tag, or one without a name."""
    blobs: dict[Digest, bytes | int]
    """All blobs it needs: the bytes of those made for it, the sizes of those in the store."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What the records say about an image at one moment."""

    image: Image
    tags: tuple[Reference, ...]
    targets: dict[Reference, Digest]
    """The manifest or index that a tag came with."""
    layers: tuple[Layer, ...]
    manifests: dict[Digest, records.Manifest]
    """Its own manifests, and all that the targets lead to."""

    def target(self, tag: Reference) -> records.Manifest | None:
        """The manifest or index that a tag came with, if it is kept."""
        digest = self.targets.get(tag)
        return None if digest is None else self.manifests.get(digest)

    def blobs(self) -> Iterator[Digest]:
        """Every blob that saving the image may read."""
        yield self.image.id
        yield from (blob.digest for layer in self.layers for blob in layer.blobs)
        for manifest in self.manifests.values():
            yield manifest.digest
            yield from manifest.children


async def locate_images(resources: Resources, lease: Lease, find: Find) -> list[SavedImage]:
    """Find the parts of images, and protect them with `lease`. Raises what `find` does.

    A tag stands for the manifest or index it came with; a manifest is made where there is none, or
    where the store no longer holds all that it needs.
    """
    found = await lease.claim(partial(_find, find))
    return [await _locate(resources, image) for image in found]


def _find(find: Find, catalogue: Catalogue) -> tuple[list[_Found], set[Digest]]:
    found = [_found(catalogue, image_id, tags) for image_id, tags in find(catalogue).items()]
    return found, {blob for image in found for blob in image.blobs()}


def _found(catalogue: Catalogue, image_id: Digest, tags: tuple[Reference, ...]) -> _Found:
    image = catalogue.images[image_id]
    targets = {
        tag: value.target
        for tag in tags
        if (value := catalogue.tag(tag)) is not None
        and value.image_id == image_id
        and value.target is not None
    }
    manifests: dict[Digest, records.Manifest] = {}
    waiting = [manifest.digest for manifest in catalogue.manifests_of(image_id)]
    waiting.extend(targets.values())
    while waiting:
        manifest = catalogue.manifests.get(waiting.pop())
        if manifest is not None and manifest.digest not in manifests:
            manifests[manifest.digest] = manifest
            waiting.extend(manifest.children)
    layers = tuple(catalogue.layers[diff_id] for diff_id in image.diff_ids)
    return _Found(image, tags, targets, layers, manifests)


async def _locate(resources: Resources, found: _Found) -> SavedImage:
    image_id = found.image.id
    config = await resources.configs.get(image_id)
    kept = await _kept_manifest(resources.blobs, found)
    stack = _layer_blobs(found.layers, kept)
    blobs: dict[Digest, bytes | int] = {image_id: config.size}
    blobs.update((blob.digest, blob.size) for blob in stack)
    if kept is not None:
        own = kept.descriptor
        blobs[own.digest] = own.size
        # The manifest may name the configuration by another algorithm than an image ID's.
        blobs[kept.manifest.config.digest] = config.size
    else:
        made = make_oci_manifest(config.digest, config.size, stack)
        own = Descriptor(made.media_type, made.digest, made.size)
        blobs[own.digest] = made.raw
    descriptors = []
    for tag in found.tags:
        descriptor = own
        if (target := found.target(tag)) is not None:
            blobs.update(await _held_tree(resources.blobs, found, target))
            descriptor = Descriptor(target.media_type, target.digest, target.size)
        descriptors.append(_named(descriptor, tag))
    return SavedImage(
        image=found.image,
        config=config,
        tags=found.tags,
        layers=stack,
        descriptors=tuple(descriptors) or (own,),
        blobs=blobs,
    )


@dataclass(frozen=True, slots=True)
class _Kept:
    """A manifest that an image came with, and its name there, which may be of any algorithm."""

    manifest: Manifest
    descriptor: Descriptor


async def _kept_manifest(blobs: BlobStore, found: _Found) -> _Kept | None:
    """A manifest the image came with whose parts are those of the image, and all held."""
    targets = set(found.targets.values())
    own = [record for record in found.manifests.values() if record.image_id == found.image.id]
    # One that a tag names is in the archive anyway.
    for record in sorted(own, key=lambda record: (record.digest not in targets, record.digest)):
        manifest = Manifest.parse(await blobs.read_bytes(record.digest), record.media_type)
        if manifest.config.digest not in {found.image.id, *record.children}:
            continue
        if len(manifest.layers) == len(found.layers) and all(
            any(blob.digest == descriptor.digest for blob in layer.blobs)
            for layer, descriptor in zip(found.layers, manifest.layers, strict=True)
        ):
            return _Kept(manifest, Descriptor(record.media_type, record.digest, record.size))
    return None


def _layer_blobs(layers: Sequence[Layer], kept: _Kept | None) -> tuple[LayerBlob, ...]:
    """The blob to take of each layer: the manifest's, else the best that is held."""
    if kept is not None:
        return tuple(
            next(blob for blob in layer.blobs if blob.digest == descriptor.digest)
            for layer, descriptor in zip(layers, kept.manifest.layers, strict=True)
        )
    return tuple(
        min(layer.blobs, key=lambda blob: (_PREFERENCE.index(blob.media_type), blob.digest))
        for layer in layers
    )


async def _held_tree(blobs: BlobStore, found: _Found, root: records.Manifest) -> dict[Digest, int]:
    """The sizes of all blobs in the store that a manifest or index leads to, itself included."""
    held: dict[Digest, int] = {}
    waiting = [root.digest]
    while waiting:
        digest = waiting.pop()
        if digest in held:
            continue
        try:
            held[digest] = (await blobs.stat(digest)).size
        except BlobNotFound:
            continue
        manifest = found.manifests.get(digest)
        waiting.extend(manifest.children if manifest else ())
    return held


def _named(descriptor: Descriptor, tag: Reference) -> Descriptor:
    """An entry of ``index.json`` with the annotations that containerd, docker and skopeo read."""
    annotations = {oci_layout.IMAGE_NAME: str(tag), oci_layout.REF_NAME: tag.tag or ""}
    return replace(descriptor, annotations=annotations)
