"""What nothing needs any more: mark and sweep as pure functions over a `Catalogue`.

Records are marked: roots are the images, the layers of containers, and the manifests that tags and
digest names came with. An image needs its layers and its manifests; an index the manifests it
refers to. Blobs need no mark: one that no record names, and no lease, is garbage.
"""

from collections.abc import Iterable, Iterator

from lamina.oci.digest import Digest
from lamina.records.catalogue import Catalogue
from lamina.records.changes import (
    Change,
    ReleaseLayer,
    RemoveImage,
    RemoveLayer,
    RemoveManifest,
    RemoveRepoDigest,
    RemoveTag,
)


def named_blobs(catalogue: Catalogue) -> frozenset[Digest]:
    """Every blob that a record names, needed or not."""
    return frozenset(catalogue.images).union(
        catalogue.manifests,
        *(manifest.children for manifest in catalogue.manifests.values()),
        (blob.digest for layer in catalogue.layers.values() for blob in layer.blobs),
    )


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


def outdated_layers(catalogue: Catalogue, kept_since: int) -> Iterator[Change]:
    """The changes which release the layers that unfinished pulls left before that (unix ns)."""
    for diff_id, time in catalogue.kept_layers.items():
        if time <= kept_since:
            yield ReleaseLayer(diff_id)


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
    used = {diff_id for image in catalogue.images.values() for diff_id in image.diff_ids}
    for container in catalogue.containers.values():
        used.update(container.diff_ids)
    return used | catalogue.kept_layers.keys()


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
