"""Where an image's parts lie, to be saved (and, later, pushed)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
from lamina.records.catalogue import Catalogue, Image, Layer, LayerBlob
from lamina.records.records import Lease
from lamina.transfer import oci_layout
from lamina.transfer.resources import Resources

_PREFERENCE: Final = (
    mediatype.OCI_LAYER,
    mediatype.OCI_LAYER_GZIP,
    mediatype.OCI_LAYER_ZSTD,
)
"""Which of several blobs of a layer is taken: the one that the most readers understand."""


@dataclass(frozen=True, slots=True)
class SavedImage:
    """An image of an archive, with everything the archive says about it."""

    config: ImageConfig
    parent: Digest | None
    tags: tuple[Reference, ...]
    layers: tuple[LayerBlob, ...]
    """The blobs of its layers, base first."""
    descriptors: tuple[Descriptor, ...]
    """Its entries of ``index.json``: one a tag, or one without a name."""
    blobs: dict[Digest, bytes | int]
    """All blobs it needs: the bytes of those made for it, the sizes of those in the store."""


async def locate_image(
    resources: Resources, lease: Lease, image_id: Digest, tags: Sequence[Reference]
) -> SavedImage:
    """Find an image's configuration, layers and manifests, and protect them with `lease`.

    A tag stands for the manifest or index it came with; a manifest is made where there is none, or
    where the store no longer holds all that it needs.
    """
    catalogue = resources.records.catalogue
    image = catalogue.images[image_id]
    config = await resources.configs.get(image_id)
    await lease.protect(image_id, *_reachable(catalogue, image, tags))
    catalogue = resources.records.catalogue
    kept = await _kept_manifest(resources.blobs, catalogue, image)
    stack = _layer_blobs([catalogue.layers[diff_id] for diff_id in image.diff_ids], kept)
    manifest = kept or _made_manifest(config, stack)
    blobs: dict[Digest, bytes | int] = {image_id: config.size}
    blobs.update((blob.digest, blob.size) for blob in stack)
    blobs[manifest.digest] = manifest.size if kept else manifest.raw
    own = Descriptor(manifest.media_type, manifest.digest, manifest.size)
    descriptors = []
    for tag in tags:
        target = _target(catalogue, tag)
        held = await _held_tree(resources.blobs, catalogue, target)
        blobs.update(held)
        descriptors.append(_named(_descriptor(catalogue, target, held) or own, tag))
    return SavedImage(
        config=config,
        parent=image.parent,
        tags=tuple(tags),
        layers=stack,
        descriptors=tuple(descriptors) or (own,),
        blobs=blobs,
    )


def _reachable(catalogue: Catalogue, image: Image, tags: Sequence[Reference]) -> Iterator[Digest]:
    """Every blob that saving the image may read."""
    for diff_id in image.diff_ids:
        yield from (blob.digest for blob in catalogue.layers[diff_id].blobs)
    waiting = [manifest.digest for manifest in catalogue.manifests_of(image.id)]
    waiting += [target for tag in tags if (target := _target(catalogue, tag)) is not None]
    seen: set[Digest] = set()
    while waiting:
        digest = waiting.pop()
        if digest in seen:
            continue
        seen.add(digest)
        yield digest
        manifest = catalogue.manifests.get(digest)
        waiting.extend(manifest.children if manifest else ())


async def _kept_manifest(blobs: BlobStore, catalogue: Catalogue, image: Image) -> Manifest | None:
    """A manifest the image came with whose layers are all held as it describes them."""
    held = {blob.digest for diff_id in image.diff_ids for blob in catalogue.layers[diff_id].blobs}
    for record in sorted(catalogue.manifests_of(image.id), key=lambda record: record.digest):
        manifest = Manifest.parse(await blobs.read_bytes(record.digest), record.media_type)
        if all(layer.digest in held for layer in manifest.layers):
            return manifest
    return None


def _layer_blobs(layers: Sequence[Layer], manifest: Manifest | None) -> tuple[LayerBlob, ...]:
    """The blob to take of each layer: the manifest's, else the best that is held."""
    if manifest is not None:
        return tuple(
            next(blob for blob in layer.blobs if blob.digest == descriptor.digest)
            for layer, descriptor in zip(layers, manifest.layers, strict=True)
        )
    return tuple(
        min(layer.blobs, key=lambda blob: (_PREFERENCE.index(blob.media_type), blob.digest))
        for layer in layers
    )


def _made_manifest(config: ImageConfig, layers: Sequence[LayerBlob]) -> Manifest:
    return Manifest.build(
        Descriptor(mediatype.OCI_CONFIG, config.digest, config.size),
        [Descriptor(blob.media_type, blob.digest, blob.size) for blob in layers],
    )


def _target(catalogue: Catalogue, tag: Reference) -> Digest | None:
    value = catalogue.tag(tag)
    return value.target if value is not None else None


async def _held_tree(
    blobs: BlobStore, catalogue: Catalogue, root: Digest | None
) -> dict[Digest, bytes | int]:
    """The sizes of all blobs in the store that a manifest or index leads to, itself included."""
    held: dict[Digest, bytes | int] = {}
    waiting = [root] if root is not None else []
    while waiting:
        digest = waiting.pop()
        if digest in held:
            continue
        try:
            held[digest] = (await blobs.stat(digest)).size
        except BlobNotFound:
            continue
        manifest = catalogue.manifests.get(digest)
        waiting.extend(manifest.children if manifest else ())
    return held


def _descriptor(
    catalogue: Catalogue, target: Digest | None, held: dict[Digest, bytes | int]
) -> Descriptor | None:
    record = catalogue.manifests.get(target) if target in held else None
    if record is None:
        return None
    return Descriptor(record.media_type, record.digest, record.size)


def _named(descriptor: Descriptor, tag: Reference) -> Descriptor:
    """An entry of ``index.json`` with the annotations that containerd, docker and skopeo read."""
    annotations = {oci_layout.IMAGE_NAME: str(tag), oci_layout.REF_NAME: tag.tag or ""}
    return replace(descriptor, annotations=annotations)
