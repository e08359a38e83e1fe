"""A push of what was pushed or pulled under its name before: questions, and at most a manifest."""

import asyncio
from collections.abc import Callable

from lamina.errors import BlobNotFound
from lamina.oci.digest import Digest
from lamina.oci.manifest import Manifest
from lamina.oci.reference import Reference
from lamina.progress import LayerProgress, Report
from lamina.registry.repository import Repository
from lamina.transfer.pushed_image import read_pushed_image
from lamina.transfer.resources import Resources


async def push_again(
    resources: Resources,
    repository: Repository,
    reference: Reference,
    *,
    name_of: Callable[[Digest], str],
    report: Report,
) -> Manifest | None:
    """Push a tag if all but the tag itself is there already; the manifest it now leads to.

    A tag that leads to it stays as it is, as containerd does it. Needs nothing of the store but the
    manifest, and changes no record. None, and nothing told, if it is not that simple. Raises as
    `Repository` does.
    """
    kept = await _known_manifest(resources, reference)
    if kept is None or reference.tag is None:
        return None
    layers = dict.fromkeys(layer.digest for layer in reversed(kept.layers))
    names = [name_of(digest) for digest in layers]
    try:
        async with asyncio.TaskGroup() as group:
            asking = [
                group.create_task(repository.stat(digest))
                for digest in (kept.config.digest, *layers)
            ]
            there = group.create_task(repository.pushed(reference.tag))
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    if any(task.result() is None for task in asking):
        return None
    for action in ("Preparing", "Layer already exists"):
        for name in names:
            await report(LayerProgress(name, action))
    if there.result() != kept.digest:
        await repository.put(kept.raw, kept.media_type, tag=reference.tag)
    return kept


async def _known_manifest(resources: Resources, reference: Reference) -> Manifest | None:
    """The manifest of a tag, if it was pushed to or pulled from this repository."""
    catalogue = resources.records.catalogue
    tag = catalogue.tag(reference)
    known = catalogue.repo_digests.get(reference.name, {})
    if tag is None or tag.target is None or known.get(tag.target) != tag.image_id:
        return None
    try:
        kept = (await read_pushed_image(resources, catalogue, tag)).kept
    except BlobNotFound:
        # Deleted this moment; nothing protects it yet.
        return None
    return kept if isinstance(kept, Manifest) and kept.digest == tag.target else None
