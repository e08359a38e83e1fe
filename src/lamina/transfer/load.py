"""`image_load`: an archive into the store, in one pass, then into the records, in one change."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from lamina.content.threads import run_to_end
from lamina.errors import BlobNotFound, InvalidArchive
from lamina.oci.digest import Digest
from lamina.oci.index import Index
from lamina.oci.manifest import Manifest as ParsedManifest
from lamina.oci.platform import Platform
from lamina.oci.reference import Reference
from lamina.progress import LayerProgress, Report, StreamText
from lamina.records.catalogue import Layer, Manifest, Tag
from lamina.records.changes import AddEvent, PutImage, PutLayer, PutManifest, PutTag
from lamina.records.happenings import image_event
from lamina.records.records import Lease, Transaction
from lamina.streams import ByteSource, chunks_of
from lamina.transfer import docker_archive, oci_layout
from lamina.transfer.archive_intake import ArchiveIntake, Document, Members, NoLayer
from lamina.transfer.archived import ArchivedImage, ArchivedImages
from lamina.transfer.images import image_record
from lamina.transfer.layer_intake import StoredLayer
from lamina.transfer.legacy_archive import is_legacy_archive, read_legacy_archive
from lamina.transfer.resources import Resources


@dataclass(frozen=True, slots=True)
class _ReadyImage:
    """An image all of whose parts are in the store."""

    archived: ArchivedImage
    layers: tuple[Layer, ...]


async def load_images(
    resources: Resources, tarball: ByteSource, *, quiet: bool, report: Report
) -> list[str]:
    """Load every image of `tarball`; returns their names, or their IDs where the last has no name.

    Nothing is recorded unless all of it is sound. Raises InvalidArchive and other CorruptData.
    """
    stored: set[Digest] = set()
    try:
        async with resources.records.lease() as lease:
            members = await _take_apart(
                resources, lease, tarball, stored=stored, quiet=quiet, report=report
            )
            archive = _read_archive(members, resources.platform)
            ready = [await _ready(lease, members, image) for image in archive.images]
            for image in ready:
                await resources.store_document(lease, image.archived.config.raw)
            manifests = await _store_manifests(resources, lease, members, archive)
            now = resources.now()
            moved = await resources.records.change(
                lambda transaction: _record(transaction, ready, manifests, archive, now)
            )
    finally:
        if stored:
            # Layers that no image wanted, or all of them after an error.
            await asyncio.shield(resources.records.sweep(frozenset(stored)))
    return await _tell(report, ready, moved)


async def _take_apart(
    resources: Resources,
    lease: Lease,
    tarball: ByteSource,
    *,
    stored: set[Digest],
    quiet: bool,
    report: Report,
) -> Members:
    """Store the archive's layers; `stored` gets the blobs that are new."""

    async def on_stored(layer: StoredLayer) -> None:
        stored.add(layer.blob.digest)
        if not quiet:
            size = layer.tar_size
            await report(LayerProgress(layer.diff_id.short, "Loading layer", size, size))

    async def known(blob: Digest) -> StoredLayer | None:
        return await _known_layer(resources, lease, blob)

    intake = ArchiveIntake(
        resources.blobs, lease, known=known, stored=on_stored, loop=asyncio.get_running_loop()
    )
    try:
        async with contextlib.aclosing(chunks_of(tarball)) as chunks:
            async for chunk in chunks:
                await run_to_end(partial(intake.feed, chunk))
        return await run_to_end(intake.finish)
    finally:
        await run_to_end(intake.close)


async def _known_layer(resources: Resources, lease: Lease, blob: Digest) -> StoredLayer | None:
    """The layer of a blob, if both the records and the store have it; protected from then on."""
    layer = resources.records.catalogue.layer_of_blob(blob)
    if layer is None:
        return None
    await lease.protect(blob)
    try:
        await resources.blobs.stat(blob)
    except BlobNotFound:
        return None
    held = next(held for held in layer.blobs if held.digest == blob)
    return StoredLayer(held, layer.diff_id, layer.size, layer.tar_size)


def _read_archive(members: Members, platform: Platform) -> ArchivedImages:
    """The images among an archive's members, by whichever of the formats it has.

    An archive may be a `docker save` archive and an OCI layout at once: then the former tells which
    images there are, the latter the manifests they came with.
    """
    index = members.document(oci_layout.INDEX)
    layout = oci_layout.Layout()
    if index is not None:
        layout = oci_layout.read_oci_layout(members, index, platform)
    manifest = members.document(docker_archive.MANIFEST)
    if manifest is not None:
        images = docker_archive.read_docker_archive(members, manifest)
    elif index is not None:
        images = layout.images
    elif is_legacy_archive(members):
        images = read_legacy_archive(members)
    else:
        raise InvalidArchive("invalid archive: does not contain a manifest.json")
    for image in images:
        image.check()
    return ArchivedImages(tuple(images), layout.manifests, layout.targets)


async def _ready(lease: Lease, members: Members, image: ArchivedImage) -> _ReadyImage:
    """Check an image's layers against its configuration; those that it leaves out must be here.

    As dockerd does it, a layer that is here already is not looked at in the archive.
    """
    layers: list[Layer] = []
    for number, (path, diff_id) in enumerate(zip(image.layers, image.config.diff_ids, strict=True)):
        layer = await lease.protect_layer(diff_id)
        layers.append(layer or _archived_layer(members, path, diff_id, number))
    return _ReadyImage(image, tuple(layers))


def _archived_layer(members: Members, path: str, diff_id: Digest, number: int) -> Layer:
    member = members.resolve(path)
    if member is None:
        raise InvalidArchive(f"open {path}: no such file or directory")
    if isinstance(member, NoLayer):
        raise member.error
    if isinstance(member, Document):
        raise InvalidArchive(f"{path} is not a layer")
    if member.diff_id != diff_id:
        raise InvalidArchive(
            f'invalid diffID for layer {number}: expected "{diff_id}", got "{member.diff_id}"'
        )
    return member.record()


async def _store_manifests(
    resources: Resources, lease: Lease, members: Members, archive: ArchivedImages
) -> list[Manifest]:
    """Keep the manifests and indexes as they came, and all they refer to that the archive holds."""
    records = []
    for digest, document in archive.manifests.items():
        await resources.store_document(lease, document.raw)
        children = set()
        for child in _references(document):
            if await _is_held(resources, lease, members, child):
                children.add(child)
        image_id = document.config.digest if isinstance(document, ParsedManifest) else None
        records.append(
            Manifest(digest, document.media_type, len(document.raw), image_id, frozenset(children))
        )
    return records


def _references(document: ParsedManifest | Index) -> list[Digest]:
    descriptors = (
        document.manifests if isinstance(document, Index) else (document.config, *document.layers)
    )
    return [descriptor.digest for descriptor in descriptors]


async def _is_held(resources: Resources, lease: Lease, members: Members, digest: Digest) -> bool:
    """Whether a blob that a manifest refers to is, or now becomes, part of the store."""
    member = members.resolve(f"blobs/{digest.algorithm}/{digest.hex}")
    if isinstance(member, Document):
        await resources.store_document(lease, member.raw)
        return True
    if isinstance(member, StoredLayer):
        return True
    await lease.protect(digest)
    try:
        await resources.blobs.stat(digest)
    except BlobNotFound:
        return False
    return True


def _record(
    transaction: Transaction,
    images: list[_ReadyImage],
    manifests: list[Manifest],
    archive: ArchivedImages,
    now: int,
) -> dict[Reference, Digest]:
    """Write everything down; returns the tags that led elsewhere before, with where they led."""
    moved: dict[Reference, Digest] = {}
    events: list[AddEvent] = []
    known = {image.archived.config.digest: image.archived for image in images}
    for ready in images:
        archived = ready.archived
        for layer in ready.layers:
            transaction.do(PutLayer(layer))
        parent = _valid_parent(archived, known)
        image = image_record(archived.config, ready.layers, parent=parent)
        transaction.do(PutImage(transaction.catalogue.images.get(image.id) or image))
        events.append(image_event("load", image, actor=image.id, name=str(image.id), time=now))
    for manifest in manifests:
        transaction.do(PutManifest(manifest))
    for ready in images:
        image_id = ready.archived.config.digest
        for name in ready.archived.names:
            old = transaction.catalogue.tag(name)
            if old is not None and old.image_id != image_id:
                moved[name] = old.image_id
            assert name.tag is not None
            target = archive.targets.get(name)
            transaction.do(PutTag(name.name, name.tag, Tag(image_id, target)))
    for event in events:
        transaction.do(event)
    return moved


def _valid_parent(image: ArchivedImage, known: Mapping[Digest, ArchivedImage]) -> Digest | None:
    """The parent that an archive names, if its history is this image's without the last step."""
    if image.parent is None or image.parent not in known:
        return None
    history, above = image.config.history, known[image.parent].config.history
    if history and (len(history) != len(above) + 1 or history[: len(above)] != above):
        return None
    return image.parent


async def _tell(
    report: Report, images: list[_ReadyImage], moved: Mapping[Reference, Digest]
) -> list[str]:
    """Report what was loaded, in dockerd's words; returns the names or IDs."""
    loaded: list[str] = []
    for image in images:
        for name in image.archived.names:
            if name in moved:
                await report(
                    StreamText(
                        f"The image {name.familiar} already exists, renaming the old one with"
                        f" ID {moved[name]} to empty string\n"
                    )
                )
            await report(StreamText(f"Loaded image: {name.familiar}\n"))
            loaded.append(name.familiar)
    if images and not images[-1].archived.names:
        for image in images:
            loaded.append(str(image.archived.config.digest))
            await report(StreamText(f"Loaded image ID: {loaded[-1]}\n"))
    return loaded
