"""`image_load`: an archive into the store, in one pass, then into the records, in one change."""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from functools import partial

from lamina.content.threads import run_to_end
from lamina.errors import BlobNotFound, InvalidArchive
from lamina.oci.digest import Digest
from lamina.oci.index import Index
from lamina.oci.manifest import Manifest as ParsedManifest
from lamina.oci.platform import Platform
from lamina.oci.reference import Reference
from lamina.progress import Report
from lamina.records.catalogue import Catalogue, Layer, Manifest, Tag
from lamina.records.changes import AddEvent, PutImage, PutLayer, PutManifest, PutTag
from lamina.records.happenings import image_event
from lamina.records.records import Transaction
from lamina.streams import ByteSource, chunks_of
from lamina.transfer import docker_archive, oci_layout
from lamina.transfer.archive_intake import ArchiveIntake
from lamina.transfer.archived import ArchivedImage, ArchivedImages
from lamina.transfer.images import image_record
from lamina.transfer.incoming import Incoming
from lamina.transfer.layer_intake import StoredLayer
from lamina.transfer.legacy_archive import is_legacy_archive, read_legacy_archive
from lamina.transfer.load_report import LayerReports, Loaded, ReadyImage, tell_legacy, tell_loaded
from lamina.transfer.members import Document, Members, NoLayer
from lamina.transfer.resources import Resources


async def load_images(
    resources: Resources, tarball: ByteSource, *, quiet: bool, report: Report
) -> list[str]:
    """Load every image of `tarball`; returns their names, or their IDs where the last has no name.

    Nothing is recorded unless all of it is sound. Raises InvalidArchive and other CorruptData.
    """
    async with resources.incoming() as coming:
        layers = LayerReports(resources.records, report, quiet=quiet)
        members = await _take_apart(resources, coming, tarball, layers)
        archive = await run_to_end(partial(_read_archive, members, resources.platform))
        images = await _ready(coming, members, archive)
        await coming.store_documents(_documents(members, archive))
        manifests = await _manifest_records(coming, members, archive)
        now = resources.now()
        loaded = await resources.records.change(
            lambda transaction: _record(transaction, images, manifests, archive, now)
        )
        coming.recorded(_recorded(images, manifests))
    tell = tell_legacy if archive.is_legacy else tell_loaded
    return await tell(report, layers, images, loaded)


async def _take_apart(
    resources: Resources, coming: Incoming, tarball: ByteSource, layers: LayerReports
) -> Members:
    """Store the archive's layers."""
    intake = ArchiveIntake(
        coming,
        known=partial(_known_layer, resources, coming),
        claims=docker_archive.claimed_diff_ids,
        loop=asyncio.get_running_loop(),
    )
    try:
        async with contextlib.aclosing(chunks_of(tarball)) as chunks:
            async for chunk in chunks:
                await run_to_end(partial(intake.feed, chunk))
                for taken in intake.progress():
                    await layers.tell(taken)
        return await run_to_end(intake.finish)
    finally:
        await run_to_end(intake.close)


async def _known_layer(resources: Resources, coming: Incoming, blob: Digest) -> StoredLayer | None:
    """The layer of a blob that the records and hence the store have; protected from then on."""
    if resources.records.catalogue.layer_of_blob(blob) is None:
        return None

    def find(catalogue: Catalogue) -> tuple[Layer | None, tuple[Digest, ...]]:
        return catalogue.layer_of_blob(blob), (blob,)

    layer = await coming.lease.claim(find)
    if layer is None:
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
        if layout.failure is not None:
            raise InvalidArchive(
                f"invalid archive: no image in index.json can be loaded: {layout.failure}"
            )
        images = layout.images
    elif is_legacy_archive(members):
        archive = ArchivedImages(tuple(read_legacy_archive(members)), is_legacy=True)
        archive.check()
        return archive
    else:
        raise InvalidArchive("invalid archive: does not contain a manifest.json")
    archive = ArchivedImages(tuple(images), layout.manifests, layout.targets)
    archive.check()
    return archive


async def _ready(coming: Incoming, members: Members, archive: ArchivedImages) -> list[ReadyImage]:
    """Check the images' layers against their configurations; layers left out must be here.

    As dockerd does it, a layer that is here already is not looked at in the archive.
    """
    wanted = {diff_id for image in archive.images for diff_id in image.config.diff_ids}

    def find(catalogue: Catalogue) -> tuple[dict[Digest, Layer], list[Digest]]:
        here = {
            diff_id: layer
            for diff_id in wanted
            if (layer := catalogue.layers.get(diff_id)) is not None
        }
        return here, [blob.digest for layer in here.values() for blob in layer.blobs]

    here = await coming.lease.claim(find)
    return [
        ReadyImage(
            image,
            tuple(
                here.get(diff_id) or _archived_layer(members, path, diff_id, number)
                for number, (path, diff_id) in enumerate(
                    zip(image.layers, image.config.diff_ids, strict=True)
                )
            ),
        )
        for image in archive.images
    ]


def _archived_layer(members: Members, path: str, diff_id: Digest, number: int) -> Layer:
    layer = members.layer(path)
    if layer.diff_id != diff_id:
        raise InvalidArchive(
            f'invalid diffID for layer {number}: expected "{diff_id}", got "{layer.diff_id}"'
        )
    return layer.record()


def _documents(members: Members, archive: ArchivedImages) -> dict[Digest, bytes]:
    """The JSON to store: configurations, manifests as they came, and what those refer to."""
    documents = {image.config.digest: image.config.raw for image in archive.images}
    for digest, document in archive.manifests.items():
        documents[digest] = document.raw
        for child in _references(document):
            member = members.resolve(oci_layout.blob_path(child))
            if isinstance(member, Document):
                documents[child] = member.raw
    return documents


async def _manifest_records(
    coming: Incoming, members: Members, archive: ArchivedImages
) -> list[Manifest]:
    """The records of the manifests, each with those of its references that the store holds."""
    references = {digest: _references(document) for digest, document in archive.manifests.items()}
    elsewhere = {
        child
        for children in references.values()
        for child in children
        if not _is_member(members, child)
    }
    if elsewhere:
        await coming.lease.protect(*elsewhere)
    absent = {digest for digest in elsewhere if not await _is_stored(coming, digest)}
    return [
        Manifest(
            digest=digest,
            media_type=document.media_type,
            size=document.size,
            image_id=_image_id(members, document),
            children=references[digest] - absent,
        )
        for digest, document in archive.manifests.items()
    ]


def _references(document: ParsedManifest | Index) -> frozenset[Digest]:
    descriptors = (
        document.manifests if isinstance(document, Index) else (document.config, *document.layers)
    )
    return frozenset(descriptor.digest for descriptor in descriptors)


def _is_member(members: Members, digest: Digest) -> bool:
    """Whether the archive had a blob, which then was stored."""
    member = members.resolve(oci_layout.blob_path(digest))
    return member is not None and (not isinstance(member, NoLayer) or member.is_stored)


async def _is_stored(coming: Incoming, digest: Digest) -> bool:
    try:
        await coming.blobs.stat(digest)
    except BlobNotFound:
        return False
    return True


def _image_id(members: Members, document: ParsedManifest | Index) -> Digest | None:
    """The ID of a manifest's image, which is a sha256 whatever its descriptor uses."""
    if isinstance(document, Index):
        return None
    config = members.resolve(oci_layout.blob_path(document.config.digest))
    return Digest.of(config.raw) if isinstance(config, Document) else document.config.digest


def _record(
    transaction: Transaction,
    images: list[ReadyImage],
    manifests: list[Manifest],
    archive: ArchivedImages,
    now: int,
) -> Loaded:
    """Write everything down."""
    chains = {chain_id for image in images for chain_id in image.archived.config.chain_ids}
    catalogue = transaction.catalogue
    loaded = Loaded(frozenset(chain for chain in chains if catalogue.chain_users(chain)))
    tagged: dict[Reference, Digest] = {}
    known = {image.archived.config.digest: image.archived for image in images}
    for layer in {layer.diff_id: layer for ready in images for layer in ready.layers}.values():
        transaction.do(PutLayer(layer))
    for manifest in manifests:
        transaction.do(PutManifest(manifest))
    events: list[AddEvent] = []
    for ready in images:
        archived = ready.archived
        parent = _valid_parent(archived, known)
        image = image_record(archived.config, ready.layers, parent=parent)
        transaction.do(PutImage(transaction.catalogue.images.get(image.id) or image))
        events.append(image_event("load", image, actor=image.id, name=str(image.id), time=now))
        for name in archived.names:
            tag = catalogue.tag(name)
            old = tagged.get(name, None if tag is None else tag.image_id)
            if old is not None and old != image.id:
                loaded.moved[image.id, name] = old
            tagged[name] = image.id
            assert name.tag is not None
            target = archive.targets.get(name)
            transaction.do(PutTag(name.name, name.tag, Tag(image.id, target)))
    transaction.do_all(events)
    return loaded


def _valid_parent(image: ArchivedImage, known: Mapping[Digest, ArchivedImage]) -> Digest | None:
    """The parent that an archive names, if its history is this image's without the last step.

    Growing histories cannot make a circle; images without any have no parents here.
    """
    if image.parent is None or image.parent not in known:
        return None
    history, above = image.config.history, known[image.parent].config.history
    if len(history) != len(above) + 1 or history[: len(above)] != above:
        return None
    return image.parent


def _recorded(images: list[ReadyImage], manifests: list[Manifest]) -> Iterator[Digest]:
    """Every blob that the records name now."""
    for image in images:
        yield image.archived.config.digest
        for layer in image.layers:
            yield from (blob.digest for blob in layer.blobs)
    for manifest in manifests:
        yield manifest.digest
        yield from manifest.children
