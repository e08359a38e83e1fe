"""What nothing needs any more: mark and sweep as pure functions over a `Catalogue`.

Roots are the images, the tags and digest names with the manifests they came with, and leases. An
image needs its configuration, the blobs of its layers and its manifests; a manifest or index what
it refers to.
"""

from collections.abc import Iterable, Iterator

from lamina.oci.digest import Digest
from lamina.records.catalogue import Catalogue
from lamina.records.changes import (
    Change,
    RemoveImage,
    RemoveLayer,
    RemoveManifest,
    RemoveRepoDigest,
    RemoveTag,
)


def needed_blobs(catalogue: Catalogue, leased: Iterable[Digest]) -> frozenset[Digest]:
    """The digests of all blobs that must stay."""
    needed = set(leased)
    needed |= _closure(catalogue, needed)
    needed |= needed_manifests(catalogue)
    for digest in tuple(needed):
        if manifest := catalogue.manifests.get(digest):
            needed |= manifest.children
    needed.update(catalogue.images)
    for diff_id in _used_layers(catalogue):
        needed.update(blob.digest for blob in catalogue.layers[diff_id].blobs)
    return frozenset(needed)


def needed_manifests(catalogue: Catalogue) -> set[Digest]:
    """The manifests and indexes that images, tags and digest names lead to."""
    roots = {
        manifest.digest
        for manifest in catalogue.manifests.values()
        if manifest.image_id in catalogue.images
    }
    for tags in catalogue.tags.values():
        roots.update(tag.target for tag in tags.values() if tag.target is not None)
    for digests in catalogue.repo_digests.values():
        roots.update(digests)
    return _closure(catalogue, roots)


def unused_records(catalogue: Catalogue) -> Iterator[Change]:
    """The changes which forget the layers and manifests that nothing needs."""
    manifests = needed_manifests(catalogue)
    for digest in catalogue.manifests.keys() - manifests:
        yield RemoveManifest(digest)
    for diff_id in catalogue.layers.keys() - _used_layers(catalogue):
        yield RemoveLayer(diff_id)


def blobs_of_removed(catalogue: Catalogue, changes: Iterable[Change]) -> frozenset[Digest]:
    """The blobs that may become garbage by `changes`; `catalogue` is the one before them."""
    roots: set[Digest] = set()
    blobs: set[Digest] = set()
    for change in changes:
        if isinstance(change, RemoveImage):
            blobs.add(change.image_id)
            roots.update(manifest.digest for manifest in catalogue.manifests_of(change.image_id))
            for diff_id in catalogue.images[change.image_id].diff_ids:
                blobs.update(blob.digest for blob in catalogue.layers[diff_id].blobs)
        elif isinstance(change, RemoveTag):
            tag = catalogue.tags[change.name][change.tag]
            roots.update(() if tag.target is None else (tag.target,))
        elif isinstance(change, RemoveRepoDigest):
            roots.add(change.digest)
    manifests = _closure(catalogue, roots)
    return frozenset(blobs.union(roots, *(catalogue.manifests[d].children for d in manifests)))


def _used_layers(catalogue: Catalogue) -> set[Digest]:
    return {diff_id for image in catalogue.images.values() for diff_id in image.diff_ids}


def _closure(catalogue: Catalogue, roots: Iterable[Digest]) -> set[Digest]:
    """The manifests reachable from `roots`, which may name other blobs too."""
    reached: set[Digest] = set()
    waiting = list(roots)
    while waiting:
        digest = waiting.pop()
        manifest = catalogue.manifests.get(digest)
        if manifest is None or digest in reached:
            continue
        reached.add(digest)
        waiting.extend(manifest.children)
    return reached
