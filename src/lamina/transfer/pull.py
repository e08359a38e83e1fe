"""`image_create` with `from_image`: images out of a registry, streamed into the store and verified.

Nothing is unpacked. A tag remembers the manifest or index that it came with, so that it can be
pushed as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lamina.errors import Forbidden, ImageNotFound, LaminaError
from lamina.oci.digest import Digest, is_digest
from lamina.oci.index import Index
from lamina.oci.manifest import Manifest
from lamina.oci.platform import Platform
from lamina.oci.reference import Reference
from lamina.progress import Report, StatusLine
from lamina.records.catalogue import Catalogue, Layer, Manifest as KeptManifest, Tag
from lamina.records.changes import (
    PutBlobSources,
    PutImage,
    PutLayer,
    PutManifest,
    PutRepoDigest,
    PutTag,
    ReleaseLayer,
)
from lamina.records.happenings import image_event
from lamina.records.lookup import find_image
from lamina.records.records import Transaction
from lamina.registry.auth import BasicCredentialsMissing, TokenRefused
from lamina.registry.credentials import AuthConfig
from lamina.registry.repository import Repository
from lamina.transfer.images import image_record
from lamina.transfer.pulled_layers import LayerPuller, held_layers, protect_layers
from lamina.transfer.refusals import refused_pull
from lamina.transfer.remote_image import (
    RemoteImage,
    choose_manifest,
    fetch_config,
    fetch_target,
)
from lamina.transfer.remotes import Remotes
from lamina.transfer.resources import Resources


@dataclass(frozen=True, slots=True)
class Pull:
    """What to pull, checked. A bare `reference` means all tags.

    `platform` is None where none was asked for. `headers` go with every request to the registry.
    """

    reference: Reference
    platform: Platform | None = None
    credentials: AuthConfig | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def parse_name(image: str, tag: str) -> Reference:
        """The reference that ``fromImage`` and ``tag`` (a tag or a digest) mean together.

        Raises InvalidReference, Forbidden (``scratch``).
        """
        reference = Reference.parse(image.removesuffix(":"))
        if is_digest(tag):
            reference = reference.without_tag_and_digest().with_digest(Digest.parse(tag))
        elif tag:
            reference = reference.with_tag(tag)
        if reference.familiar_name == "scratch":
            raise Forbidden("'scratch' is a reserved name")
        return reference


async def pull_images(
    resources: Resources, remotes: Remotes, wanted: Pull, *, report: Report
) -> str:
    """Pull a tag, a digest or all tags; returns the familiar reference.

    An error before the first report says that nothing was found. Raises NotFound, Unauthorized and
    others in dockerd's words, CorruptData for content that is not what it should be.
    """
    reference = wanted.reference
    named = not reference.is_bare
    try:
        repository = await remotes.registries.repository(
            reference, credentials=wanted.credentials, headers=wanted.headers
        )
        puller = _Puller(resources, remotes, wanted, repository)
        if not named:
            tags = await repository.tags()
            # Every one of them, whether or not one before it was news.
            news = [await puller.pull(reference.with_tag(tag), report) for tag in tags]
            is_news = any(news)
        else:
            is_news = await puller.pull(reference, report)
    except (BasicCredentialsMissing, TokenRefused) as error:
        raise await remotes.registries.unsent(reference, error) from error
    except LaminaError as error:
        raise refused_pull(error, reference) from error
    text = "Downloaded newer image for" if is_news else "Image is up to date for"
    await report(StatusLine(f"Status: {text} {reference.familiar}"))
    if puller.warning:
        await report(StatusLine(f"WARNING: {puller.warning}"))
    now = resources.now()
    await resources.records.change(
        lambda transaction: _tell(transaction, reference, now), durable=False
    )
    return reference.familiar


class _Puller:
    """Pulls references out of one repository."""

    def __init__(
        self, resources: Resources, remotes: Remotes, wanted: Pull, repository: Repository
    ) -> None:
        self._resources = resources
        self._wanted = wanted
        self._repository = repository
        self._platform = wanted.platform or resources.platform
        self._layers = LayerPuller(resources, remotes, repository, wanted.reference.name)
        self._kept = resources.blobs.read_bytes
        self.warning = ""

    async def pull(self, reference: Reference, report: Report) -> bool:
        """Pull one tag or digest; whether anything is new about it here."""
        known = self._resources.records.catalogue.tag(reference)
        target = await fetch_target(
            self._repository,
            reference.digest or reference.tag or "",
            known=None if known is None else known.target,
            kept=self._kept,
        )
        where = str(reference) if reference.digest is not None else reference.tag
        await report(StatusLine(f"Pulling from {reference.path}", id=where))
        manifest = await choose_manifest(self._repository, target, self._platform, kept=self._kept)
        if _is_here(self._resources.records.catalogue, reference, target, manifest):
            await report(StatusLine(f"Digest: {target.digest}"))
            is_news = False
        else:
            is_news = await self._store(reference, target, manifest, report)
        if isinstance(target, Manifest):
            self._compare_platforms(reference, manifest)
        return is_news

    async def _store(
        self,
        reference: Reference,
        target: Manifest | Index,
        manifest: Manifest,
        report: Report,
    ) -> bool:
        resources, kept = self._resources, self._kept
        async with resources.incoming() as incoming:
            config = await fetch_config(self._repository, manifest, kept=kept)
            image = RemoteImage(target, manifest, config)
            documents = {
                target.digest: target.raw,
                manifest.digest: manifest.raw,
                manifest.config.digest: config.raw,
                config.digest: config.raw,
            }
            await incoming.store_documents(documents)
            held = await protect_layers(incoming.lease, manifest)
            # A layer is recorded when it has come, but a cancelled one may just not be.
            coming = {layer.digest for layer in manifest.layers} - held.keys()
            incoming.expect(coming)
            is_known = config.digest in resources.records.catalogue.images
            if is_known and all(layer.digest in held for layer in manifest.layers):
                layers = tuple(held[layer.digest] for layer in manifest.layers)
            else:
                layers = await self._layers.pull(manifest, config, held, report)
            await report(StatusLine(f"Digest: {target.digest}"))
            is_news = await resources.records.change(
                lambda transaction: _record(transaction, reference, image, layers)
            )
            incoming.recorded(documents.keys() | coming)
        return is_news

    def _compare_platforms(self, reference: Reference, manifest: Manifest) -> None:
        """Warn of an image that was taken though it is for another platform than was asked for."""
        wanted = self._wanted.platform
        image = self._resources.records.catalogue.images.get(manifest.config.digest)
        if wanted is not None and image is not None and not wanted.matches(image.platform):
            self.warning = (
                f"image with reference {reference.familiar} was found but does not match the"
                f" specified platform: wanted {wanted}, actual: {image.platform}"
            )


def _is_here(
    catalogue: Catalogue, reference: Reference, target: Manifest | Index, manifest: Manifest
) -> bool:
    """Whether a pull would change nothing."""
    image_id = manifest.config.digest
    tag = catalogue.tag(reference)
    return (
        image_id in catalogue.images
        and target.digest in catalogue.manifests
        and manifest.digest in catalogue.manifests
        and catalogue.repo_digests.get(reference.name, {}).get(target.digest) == image_id
        and (reference.digest is not None or tag == Tag(image_id, target.digest))
        and len(held_layers(catalogue, manifest)) == len({d.digest for d in manifest.layers})
    )


def _record(
    transaction: Transaction, reference: Reference, image: RemoteImage, layers: tuple[Layer, ...]
) -> bool:
    """Write down what was pulled; whether the reference led elsewhere before."""
    config, manifest, target = image.config, image.manifest, image.target
    for layer in layers:
        transaction.do(PutLayer(layer))
        transaction.do(ReleaseLayer(layer.diff_id))
    blobs = tuple(layer.digest for layer in manifest.layers)
    transaction.do(PutBlobSources(reference.name, blobs))
    record = transaction.catalogue.images.get(config.digest) or image_record(config, layers)
    transaction.do(PutImage(record))
    children = frozenset((config.digest, manifest.config.digest, *blobs))
    transaction.do(
        PutManifest(
            KeptManifest(
                manifest.digest, manifest.media_type, manifest.size, config.digest, children
            )
        )
    )
    if isinstance(target, Index):
        children = frozenset((manifest.digest,))
        transaction.do(
            PutManifest(KeptManifest(target.digest, target.media_type, target.size, None, children))
        )
    transaction.do(PutRepoDigest(reference.name, target.digest, config.digest))
    if reference.digest is not None:
        known = transaction.catalogue.repo_digests.get(reference.name, {})
        return known.get(reference.digest) != config.digest
    assert reference.tag is not None
    tag = transaction.catalogue.tag(reference)
    transaction.do(PutTag(reference.name, reference.tag, Tag(config.digest, target.digest)))
    return tag is None or tag.image_id != config.digest


def _tell(transaction: Transaction, reference: Reference, now: int) -> None:
    try:
        image = find_image(transaction.catalogue, reference.familiar)
    except ImageNotFound:
        image = None
    transaction.do(
        image_event(
            "pull",
            image,
            actor=reference.familiar,
            name=reference.familiar_name,
            time=now,
        )
    )
