"""What a tag stands for when it is pushed: manifests that are kept, or one that is to be made."""

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass

from lamina.oci import mediatype
from lamina.oci.digest import Digest
from lamina.oci.index import Index, parse_manifest_or_index
from lamina.oci.manifest import Manifest
from lamina.records.catalogue import Catalogue, Image, Layer, Manifest as KeptManifest, Tag
from lamina.transfer.resources import Resources


@dataclass(frozen=True, slots=True)
class PushedImage:
    """What there is to push. `kept` is pushed byte for byte; None if a manifest is to be made.

    `children` are the manifests of an index that are held with all they need; `layers` those of the
    image, base first.
    """

    image: Image
    layers: tuple[Layer, ...]
    kept: Manifest | Index | None
    children: tuple[Manifest, ...] = ()

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """The manifests whose blobs are pushed."""
        return (self.kept,) if isinstance(self.kept, Manifest) else self.children

    @property
    def missing(self) -> tuple[Digest, ...]:
        """The manifests of an index that the registry must have already."""
        if not isinstance(self.kept, Index):
            return ()
        held = {child.digest for child in self.children}
        return tuple(d.digest for d in self.kept.manifests if d.digest not in held)

    def without_index(self) -> "PushedImage":
        """Its own manifest alone, where the whole index cannot be pushed."""
        own = (child for child in self.children if child.config.digest == self.image.id)
        return PushedImage(self.image, self.layers, next(own, None))


def needed_for_push(catalogue: Catalogue, tag: Tag) -> Iterator[Digest]:
    """Every blob that pushing a tag may read."""
    image = catalogue.images[tag.image_id]
    yield image.id
    for diff_id in image.diff_ids:
        yield from (blob.digest for blob in catalogue.layers[diff_id].blobs)
    waiting = [manifest.digest for manifest in catalogue.manifests_of(image.id)]
    waiting += [] if tag.target is None else [tag.target]
    seen: set[Digest] = set()
    while waiting:
        digest = waiting.pop()
        if digest in seen:
            continue
        seen.add(digest)
        yield digest
        manifest = catalogue.manifests.get(digest)
        waiting.extend(manifest.children if manifest else ())


async def read_pushed_image(resources: Resources, catalogue: Catalogue, tag: Tag) -> PushedImage:
    """What a tag stands for; the caller has protected `needed_for_push` and read the catalogue."""
    image = catalogue.images[tag.image_id]
    layers = tuple(catalogue.layers[diff_id] for diff_id in image.diff_ids)
    for record in _candidates(catalogue, tag):
        raw = await resources.blobs.read_bytes(record.digest)
        kept = parse_manifest_or_index(raw, record.media_type)
        if isinstance(kept, Manifest):
            if _is_whole(record, kept) and _is_worth_pushing(catalogue, kept):
                return PushedImage(image, layers, kept)
            continue
        children = [child async for child in _held_children(resources, catalogue, kept)]
        if any(child.config.digest == image.id for child in children):
            return PushedImage(image, layers, kept, tuple(children))
    return PushedImage(image, layers, None)


def _candidates(catalogue: Catalogue, tag: Tag) -> Iterable[KeptManifest]:
    """What the tag came with first, then whatever else the image came with or was pushed as."""
    target = None if tag.target is None else catalogue.manifests.get(tag.target)
    others = sorted(catalogue.manifests_of(tag.image_id), key=lambda record: record.digest)
    return ([] if target is None else [target]) + others


async def _held_children(
    resources: Resources, catalogue: Catalogue, index: Index
) -> AsyncIterator[Manifest]:
    for descriptor in index.manifests:
        record = catalogue.manifests.get(descriptor.digest)
        if record is None:
            continue
        raw = await resources.blobs.read_bytes(record.digest)
        child = parse_manifest_or_index(raw, record.media_type)
        if isinstance(child, Manifest) and _is_whole(record, child):
            yield child


def _is_whole(record: KeptManifest, manifest: Manifest) -> bool:
    needed = {manifest.config.digest, *(layer.digest for layer in manifest.layers)}
    return needed <= record.children


def _is_worth_pushing(catalogue: Catalogue, manifest: Manifest) -> bool:
    """Whether it came from a registry, or might have: archives have uncompressed layers, too."""
    if any(manifest.digest in digests for digests in catalogue.repo_digests.values()):
        return True
    plain = {mediatype.OCI_LAYER, mediatype.DOCKER_LAYER}
    return not any(layer.media_type in plain for layer in manifest.layers)
