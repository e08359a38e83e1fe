"""An image in a registry: from a tag or digest to its manifest and configuration."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from lamina.errors import (
    BlobNotFound,
    DigestMismatch,
    InvalidManifest,
    LaminaError,
    SizeMismatch,
    UnsupportedMediaType,
)
from lamina.oci import mediatype
from lamina.oci.config import ImageConfig
from lamina.oci.descriptor import Descriptor
from lamina.oci.digest import Digest
from lamina.oci.index import Index, parse_manifest_or_index
from lamina.oci.manifest import Manifest
from lamina.oci.platform import Platform, choose
from lamina.records.configs import MAX_CONFIG_SIZE
from lamina.registry.repository import Repository
from lamina.transfer.images import MAX_LAYERS

_LINUX: Final = "linux"
_CONFIG_TYPES: Final = frozenset({"", "application/octet-stream"})
"""What some early registries called configurations."""

Kept = Callable[[Digest], Awaitable[bytes]]
"""Reads a small blob that is here already; raises BlobNotFound."""


@dataclass(frozen=True, slots=True)
class RemoteImage:
    """What a tag led to, and the image in it for one platform."""

    target: Manifest | Index
    manifest: Manifest
    config: ImageConfig


async def fetch_target(
    repository: Repository, reference: str | Digest, *, known: Digest | None, kept: Kept
) -> Manifest | Index:
    """The manifest or index behind a tag or digest.

    `known` is what the tag led to when it was last pulled: if it still does, nothing is fetched.
    Raises InvalidManifest (also for one of Docker's that is no image), UnsupportedMediaType, and as
    `Repository.fetch` does.
    """
    if isinstance(reference, Digest):
        known = reference
    elif known is not None:
        known = (await repository.resolve(reference)).digest
        reference = known
    if known is not None:
        try:
            return _image(parse_manifest_or_index(await kept(known)))
        except BlobNotFound:
            pass
    fetched = await repository.fetch(reference)
    return _image(parse_manifest_or_index(fetched.raw, fetched.media_type or None))


async def choose_manifest(
    repository: Repository, target: Manifest | Index, platform: Platform, *, kept: Kept
) -> Manifest:
    """The manifest of the image for `platform`.

    Raises InvalidManifest if an index has none, and as `fetch_target` does.
    """
    if isinstance(target, Manifest):
        return target
    chosen = choose([child.platform for child in target.manifests], platform)
    if chosen is None:
        raise InvalidManifest(f"no matching manifest for {platform} in the manifest list entries")
    child = target.manifests[chosen]
    found = await fetch_target(repository, child.digest, known=None, kept=kept)
    if isinstance(found, Index):
        raise InvalidManifest(f"invalid manifest: {child.digest} is an index within an index")
    return found


async def fetch_config(repository: Repository, manifest: Manifest, *, kept: Kept) -> ImageConfig:
    """The image's configuration, checked against its manifest.

    Raises UnsupportedMediaType (an artifact that is no image), InvalidManifest, DigestMismatch,
    SizeMismatch, and as `Repository.download` does.
    """
    if not _is_image(manifest):
        kind = manifest.config.media_type
        raise UnsupportedMediaType(f"unsupported media type {kind}", media_type=kind)
    for layer in manifest.layers:
        if mediatype.is_foreign_layer(layer.media_type):
            raise InvalidManifest(
                f"layer {layer.digest} is a foreign layer, whose content registries do not hold"
            )
    try:
        raw = await kept(manifest.config.digest)
    except BlobNotFound:
        raw = await fetch_small(repository, manifest.config)
    config = ImageConfig.parse(raw)
    if config.os not in {"", _LINUX}:
        raise InvalidManifest(
            f'image operating system "{config.os}" cannot be used on this platform'
        )
    if len(config.diff_ids) != len(manifest.layers):
        raise LayersDoNotMatch
    if len(manifest.layers) > MAX_LAYERS:
        raise InvalidManifest("max depth exceeded")
    return config


class LayersDoNotMatch(InvalidManifest):
    """A manifest's layers are not those of its configuration."""

    def __init__(self) -> None:
        super().__init__("layers from manifest don't match image configuration")


def _image(target: Manifest | Index) -> Manifest | Index:
    """Docker's own artifacts, plugins mostly, are told from images before anything is said."""
    if isinstance(target, Manifest) and target.media_type == mediatype.DOCKER_MANIFEST:
        if _is_image(target):
            return target
        config = target.config.media_type
        raise InvalidManifest(f'Encountered remote "{config}"(unknown) when fetching')
    return target


def _is_image(manifest: Manifest) -> bool:
    kind = manifest.config.media_type
    return mediatype.is_config(kind) or kind in _CONFIG_TYPES


async def fetch_small(repository: Repository, descriptor: Descriptor) -> bytes:
    """A configuration, verified. Raises InvalidManifest, and as `Repository.download` does."""
    if descriptor.size > MAX_CONFIG_SIZE:
        raise InvalidManifest(f"image configuration is larger than {MAX_CONFIG_SIZE} bytes")
    for is_last in (False, True):
        memory = _Memory()
        await repository.download(descriptor.digest, descriptor.size, memory)
        raw = bytes(memory.data)
        if len(raw) != descriptor.size:
            raise SizeMismatch(descriptor.size, len(raw))
        hasher = descriptor.digest.hasher()
        hasher.update(raw)
        actual = Digest.from_hasher(hasher)
        if actual == descriptor.digest:
            return raw
        if is_last:
            raise _wrong_config(descriptor.digest, actual)
    raise AssertionError("unreachable")


def _wrong_config(expected: Digest, actual: Digest) -> LaminaError:
    error = InvalidManifest(f"image config verification failed for digest {expected}")
    error.__cause__ = DigestMismatch(expected, actual)
    return error


class _Memory:
    """A sink for what is small."""

    def __init__(self) -> None:
        self.data = bytearray()

    @property
    def offset(self) -> int:
        return len(self.data)

    async def write(self, data: bytes) -> None:
        self.data += data
