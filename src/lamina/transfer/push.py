"""`image_push`: a tag, or all tags of a repository, into a registry.

What a pull brought goes back byte for byte, a multi-platform index whole. Of other images the
layers are compressed once, and a manifest is made of what that gave, as a dockerd does it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import msgspec

from lamina.errors import InvalidParameter, NotFound
from lamina.oci.descriptor import Descriptor
from lamina.oci.digest import Digest
from lamina.oci.index import Index
from lamina.oci.manifest import Manifest
from lamina.oci.reference import Reference
from lamina.progress import Aux, Event, LayerProgress, Report, StatusLine
from lamina.records.catalogue import (
    Catalogue,
    Image,
    Layer,
    LayerBlob,
    Manifest as KeptManifest,
    Tag,
)
from lamina.records.changes import PutBlobSources, PutManifest, PutRepoDigest, PutTag
from lamina.records.happenings import image_event
from lamina.records.records import Transaction
from lamina.records.sources import sources_of
from lamina.registry.credentials import AuthConfig
from lamina.registry.failure import RegistryError, RegistryNotFound
from lamina.registry.repository import Repository
from lamina.transfer.compressing import compress_layer, compressed_blob
from lamina.transfer.incoming import Incoming
from lamina.transfer.made_manifest import make_manifest
from lamina.transfer.pushed_again import push_again
from lamina.transfer.pushed_image import PushedImage, needed_for_push, read_pushed_image
from lamina.transfer.pushed_layer import push_document, push_layer
from lamina.transfer.refusals import refused_push
from lamina.transfer.remotes import Remotes
from lamina.transfer.resources import Resources
from lamina.transfer.shared import Tell

_MOST_MOUNTS: Final = 3
"""Other repositories that are tried for one blob: each costs a request."""

_GetBlob = Callable[[Tell], Awaitable[LayerBlob]]
"""Gives the blob to push, when it is there."""


@dataclass(frozen=True, slots=True)
class Push:
    """What to push, checked. A `reference` without a tag means all tags of the repository."""

    reference: Reference
    credentials: AuthConfig | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def parse_name(name: str, tag: str) -> Reference:
        """The reference that the name and the parameter ``tag`` mean. Raises InvalidReference."""
        reference = Reference.parse(name)
        return reference.with_tag(tag) if tag else reference


async def push_images(
    resources: Resources, remotes: Remotes, wanted: Push, *, report: Report
) -> dict[str, str]:
    """Push a tag or all tags; returns the digest of each tag.

    Raises NotFound, InvalidParameter, and what a registry refuses in its own words.
    """
    reference = wanted.reference
    await report(StatusLine(f"The push refers to repository [{reference.name}]"))
    if reference.digest is not None:
        raise InvalidParameter("cannot push a digest reference")
    tags = _tags_of(resources.records.catalogue, reference)
    repository = await remotes.registries.repository(
        reference, credentials=wanted.credentials, headers=wanted.headers
    )
    digests: dict[str, str] = {}
    try:
        # Whether there is a registry at all is known before anything is made ready for it.
        await repository.uploader()
        for tag in tags:
            pusher = _Pusher(resources, remotes, repository, reference.with_tag(tag))
            digests[tag] = str(await pusher.push(report))
    except RegistryError as error:
        raise refused_push(error) from error
    now = resources.now()
    await resources.records.change(
        lambda transaction: _tell(transaction, reference, now), durable=False
    )
    return digests


def _tags_of(catalogue: Catalogue, reference: Reference) -> list[str]:
    tags = catalogue.tags.get(reference.name, {})
    if not tags and reference.name not in catalogue.repo_digests:
        raise NotFound(f"An image does not exist locally with the tag: {reference.familiar_name}")
    if reference.tag is None:
        if not tags:
            raise NotFound(f"no tags to push for {reference.familiar_name}")
        return sorted(tags)
    if reference.tag not in tags:
        raise NotFound(f"tag does not exist: {reference.familiar}")
    return [reference.tag]


class _Pusher:
    """Pushes one tag."""

    def __init__(
        self, resources: Resources, remotes: Remotes, repository: Repository, reference: Reference
    ) -> None:
        self._resources = resources
        self._remotes = remotes
        self._repository = repository
        self._reference = reference

    async def push(self, report: Report) -> Digest:
        """Push it; the digest of what the tag now leads to in the registry."""
        target: Manifest | Index | None = await push_again(
            self._resources, self._repository, self._reference, name_of=self._name_of, report=report
        )
        target = target or await self._push(report)
        await self._tell_digest(target, report)
        return target.digest

    def _name_of(self, digest: Digest) -> str:
        """What a layer is called in progress: by its content, if that is known."""
        layer = self._resources.records.catalogue.layer_of_blob(digest)
        return (layer.diff_id if layer else digest).short

    async def _push(self, report: Report) -> Manifest | Index:
        async with self._resources.incoming() as incoming:
            pushed = await self._read(incoming)
            index: Index | None = None
            if isinstance(pushed.kept, Index) and not await self._has_all(pushed.missing):
                index, pushed = pushed.kept, pushed.without_index()
            if pushed.kept is None:
                target: Manifest | Index = await self._push_made(pushed, report)
                await incoming.store_documents({target.digest: target.raw})
            else:
                await self._push_kept(pushed, report)
                target = pushed.kept
            assert self._reference.tag is not None
            await self._repository.put(target.raw, target.media_type, tag=self._reference.tag)
            await self._resources.records.change(
                lambda transaction: _record(transaction, self._reference, pushed, target)
            )
            incoming.recorded([target.digest])
        if index is not None:
            await report(Aux(_pushed_instead(index, target)))
        return target

    async def _read(self, incoming: Incoming) -> PushedImage:
        reference = self._reference

        def find(catalogue: Catalogue) -> tuple[Tag, list[Digest]]:
            tag = catalogue.tag(reference)
            if tag is None:
                raise NotFound(f"tag does not exist: {reference.familiar}")
            return tag, list(needed_for_push(catalogue, tag))

        tag = await incoming.lease.claim(find)
        return await read_pushed_image(self._resources, self._resources.records.catalogue, tag)

    async def _has_all(self, digests: Sequence[Digest]) -> bool:
        """Whether the registry has manifests that are not here."""
        try:
            for digest in digests:
                await self._repository.resolve(digest)
        except RegistryNotFound:
            return False
        return True

    async def _push_kept(self, pushed: PushedImage, report: Report) -> None:
        """Push everything that kept manifests refer to, then all but the one the tag is for."""
        jobs: dict[Digest, tuple[str, _GetBlob]] = {}
        for manifest in pushed.manifests:
            for descriptor in reversed(manifest.layers):
                digest = descriptor.digest
                blob = LayerBlob(digest, descriptor.media_type, descriptor.size)
                jobs[digest] = self._name_of(digest), _ready(blob)
        await self._push_all(jobs, report)
        for manifest in pushed.manifests:
            await push_document(self._resources.blobs, self._repository, manifest.config.digest)
            if manifest is not pushed.kept:
                await self._repository.put(manifest.raw, manifest.media_type)

    async def _push_made(self, pushed: PushedImage, report: Report) -> Manifest:
        """Push an image's layers, compressed, and make a manifest of them."""
        jobs: dict[Digest, tuple[str, _GetBlob]] = {
            layer.diff_id: (layer.diff_id.short, partial(self._compressed, layer))
            for layer in reversed(pushed.layers)
        }
        blobs = await self._push_all(jobs, report)
        image_id = pushed.image.id
        await push_document(self._resources.blobs, self._repository, image_id)
        config_size = (await self._resources.blobs.stat(image_id)).size
        return make_manifest(
            image_id, config_size, [blobs[diff_id] for diff_id in pushed.image.diff_ids]
        )

    async def _compressed(self, layer: Layer, tell: Tell) -> LayerBlob:
        kind = self._remotes.compression
        known = compressed_blob(layer.blobs, kind)
        if known is not None:
            return known

        async def work(tell: Tell) -> LayerBlob:
            # Somebody may have done it since we looked.
            current = self._resources.records.catalogue.layers[layer.diff_id]
            found = compressed_blob(current.blobs, kind)
            return found or await compress_layer(self._resources, layer, kind, tell)

        async def relay(event: Event) -> None:
            if isinstance(event, LayerProgress):
                tell(event)

        name = layer.diff_id.short
        return await self._remotes.compressions.run(layer.diff_id, name, work, relay)

    async def _push_all(
        self, jobs: Mapping[Digest, tuple[str, _GetBlob]], report: Report
    ) -> dict[Digest, LayerBlob]:
        """Push blobs side by side, each compressed first if need be; what was pushed for each."""
        for name, _ in jobs.values():
            await report(LayerProgress(name, "Preparing"))
        try:
            async with asyncio.TaskGroup() as group:
                pushing = {
                    key: group.create_task(self._push_one(key, name, blob, report))
                    for key, (name, blob) in jobs.items()
                }
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return {key: task.result() for key, task in pushing.items()}

    async def _push_one(self, key: Digest, name: str, get: _GetBlob, report: Report) -> LayerBlob:
        async def work(tell: Tell) -> LayerBlob:
            blob = await get(tell)
            await push_layer(
                self._resources.blobs,
                self._repository,
                blob.digest,
                name,
                mount_from=self._mounts(blob.digest),
                tell=tell,
            )
            source = PutBlobSources(self._reference.name, (blob.digest,))
            await self._resources.records.change(lambda transaction: transaction.do(source))
            return blob

        return await self._remotes.uploads.run((self._reference.name, key), name, work, report)

    def _mounts(self, digest: Digest) -> list[str]:
        """Other repositories of the same registry that are known to have a blob."""
        found = self._resources.records.read(lambda connection: sources_of(connection, [digest]))
        others = [Reference.parse(name) for name in found[digest] if name != self._reference.name]
        ours = [other.path for other in others if other.domain == self._reference.domain]
        return ours[:_MOST_MOUNTS]

    async def _tell_digest(self, target: Manifest | Index, report: Report) -> None:
        tag, size = self._reference.tag, len(target.raw)
        await report(StatusLine(f"{tag}: digest: {target.digest} size: {size}"))
        value = {"Tag": tag, "Digest": str(target.digest), "Size": size}
        await report(Aux(value, is_progress=True))


def _ready(blob: LayerBlob) -> _GetBlob:
    async def get(_: Tell) -> LayerBlob:
        return blob

    return get


def _record(
    transaction: Transaction,
    reference: Reference,
    pushed: PushedImage,
    target: Manifest | Index,
) -> None:
    """Remember the name by digest, and a manifest that was made."""
    catalogue, image = transaction.catalogue, pushed.image
    if pushed.kept is None:
        assert isinstance(target, Manifest)
        children = frozenset((image.id, *(layer.digest for layer in target.layers)))
        transaction.do(
            PutManifest(
                KeptManifest(target.digest, target.media_type, target.size, image.id, children)
            )
        )
    if image.id not in catalogue.images:
        # Deleted meanwhile; the registry has it.
        return
    transaction.do(PutRepoDigest(reference.name, target.digest, image.id))
    if catalogue.tag(reference) == Tag(image.id, None):
        assert reference.tag is not None
        transaction.do(PutTag(reference.name, reference.tag, Tag(image.id, target.digest)))


def _pushed_instead(index: Index, manifest: Manifest | Index) -> dict[str, Any]:
    """What docker's client shows where an index was not whole."""
    descriptors = [Descriptor(m.media_type, m.digest, m.size) for m in (index, manifest)]
    original, selected = (msgspec.to_builtins(d, enc_hook=str) for d in descriptors)
    return {
        "manifestPushedInsteadOfIndex": True,
        "originalIndex": original,
        "selectedManifest": selected,
    }


def _tell(transaction: Transaction, reference: Reference, now: int) -> None:
    image: Image | None = None
    tag = transaction.catalogue.tag(reference.with_default_tag())
    if tag is not None:
        image = transaction.catalogue.images[tag.image_id]
    transaction.do(
        image_event("push", image, actor=reference.familiar, name=reference.familiar_name, time=now)
    )
