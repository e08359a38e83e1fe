"""The OCI image layout (image-layout.md): ``index.json`` leads to manifests and blobs."""

from dataclasses import dataclass, field, replace
from typing import Final

from lamina.errors import InvalidArchive, InvalidReference, SizeMismatch
from lamina.oci import mediatype
from lamina.oci.descriptor import Descriptor
from lamina.oci.digest import Digest
from lamina.oci.index import Index, parse_manifest_or_index
from lamina.oci.manifest import Manifest
from lamina.oci.platform import Platform, choose
from lamina.oci.reference import Reference
from lamina.transfer.archived import ArchivedImage, Configs
from lamina.transfer.layer_intake import StoredLayer
from lamina.transfer.members import Document, Members

INDEX = "index.json"
IMAGE_NAME: Final = "io.containerd.image.name"
REF_NAME: Final = "org.opencontainers.image.ref.name"
_MAX_DEPTH: Final = 8


@dataclass(slots=True)
class Layout:
    """What an OCI layout holds; `targets` are names and the manifest or index each stands for."""

    images: list[ArchivedImage] = field(default_factory=list)
    manifests: dict[Digest, Manifest | Index] = field(default_factory=dict)
    targets: dict[Reference, Digest] = field(default_factory=dict)
    failure: str | None = None
    """Why there is no image, though the index refers to something."""


def read_oci_layout(members: Members, index: bytes, platform: Platform) -> Layout:
    """Everything that ``index.json`` leads to, as far as the archive holds it.

    Of an index with several platforms the one for `platform` becomes the image that its names lead
    to, else its first; the whole index is kept beside. Raises InvalidArchive, InvalidManifest,
    SizeMismatch.
    """
    reader = _Reader(members, platform)
    images: dict[Digest, ArchivedImage] = {}
    targets: dict[Reference, Digest] = {}
    descriptors = Index.parse(index, mediatype.OCI_INDEX).manifests
    for descriptor in descriptors:
        manifest = reader.image_manifest(descriptor)
        if manifest is None:
            continue
        image = images.get(manifest.digest) or reader.image(manifest)
        name = _name(descriptor)
        if name is not None and name not in image.names:
            targets[name] = descriptor.digest
            image = replace(image, names=(*image.names, name))
        images[manifest.digest] = image
    return Layout(
        images=list(images.values()),
        manifests=reader.manifests,
        targets=targets,
        failure=None if images or not descriptors else reader.failure,
    )


class _Reader:
    """Follows descriptors; each document is read once, however often it is referred to."""

    def __init__(self, members: Members, platform: Platform) -> None:
        self.manifests: dict[Digest, Manifest | Index] = {}
        self.failure: str | None = None
        """Why the first document that is not an image's is none."""
        self._members = members
        self._platform = platform
        self._configs = Configs(members)
        self._found: dict[Digest, Manifest | None] = {}

    def image_manifest(self, descriptor: Descriptor, depth: int = 0) -> Manifest | None:
        """The image manifest which `descriptor` stands for on this platform, if there is one."""
        if depth > _MAX_DEPTH:
            raise InvalidArchive("invalid archive: indexes are nested too deeply")
        digest = descriptor.digest
        if digest not in self._found:
            self._found[digest] = self._read(descriptor, depth)
        return self._found[digest]

    def image(self, manifest: Manifest) -> ArchivedImage:
        """The image that a manifest describes."""
        for descriptor in (manifest.config, *manifest.layers):
            self._check_size(descriptor)
        return ArchivedImage(
            config=self._configs.get(blob_path(manifest.config.digest)),
            layers=tuple(blob_path(layer.digest) for layer in manifest.layers),
        )

    def _read(self, descriptor: Descriptor, depth: int) -> Manifest | None:
        if not _is_readable(descriptor.media_type):
            self._fail(f"unsupported media type {descriptor.media_type}")
            return None
        raw = self._members.document(blob_path(descriptor.digest))
        if raw is None:
            # One platform of a larger index, left out by whoever made the archive.
            self._fail(f"blob {descriptor.digest} is missing")
            return None
        self._check_size(descriptor)
        document = parse_manifest_or_index(raw, descriptor.media_type)
        self.manifests[descriptor.digest] = document
        if isinstance(document, Index):
            return self._choose(document, depth)
        if not mediatype.is_config(document.config.media_type):
            self._fail(f"unsupported media type {document.config.media_type}")
            return None
        return document

    def _fail(self, why: str) -> None:
        self.failure = self.failure or why

    def _check_size(self, descriptor: Descriptor) -> None:
        """Raise SizeMismatch if a blob of the archive is not as long as is said."""
        member = self._members.resolve(blob_path(descriptor.digest))
        if isinstance(member, Document):
            actual = len(member.raw)
        elif isinstance(member, StoredLayer):
            actual = member.blob.size
        else:
            return
        if actual != descriptor.size:
            raise SizeMismatch(descriptor.size, actual)

    def _choose(self, index: Index, depth: int) -> Manifest | None:
        choices: list[tuple[Platform, Manifest]] = []
        for child in index.manifests:
            manifest = self.image_manifest(child, depth + 1)
            if manifest is not None and not _is_attestation(child):
                choices.append((self._platform_of(child, manifest), manifest))
        if not choices:
            return None
        best = choose([option for option, _ in choices], self._platform)
        return choices[best or 0][1]

    def _platform_of(self, descriptor: Descriptor, manifest: Manifest) -> Platform:
        if descriptor.platform is not None:
            return descriptor.platform
        return self._configs.get(blob_path(manifest.config.digest)).platform


def _is_readable(media_type: str) -> bool:
    """Whether to look at a document: artifacts of other kinds are kept and not understood.

    Docker's schema 1 is looked at so that it is refused.
    """
    return (
        mediatype.is_manifest(media_type)
        or mediatype.is_index(media_type)
        or mediatype.is_schema1(media_type)
    )


def _is_attestation(descriptor: Descriptor) -> bool:
    platform = descriptor.platform
    return platform is not None and platform.os == "unknown"


def _name(descriptor: Descriptor) -> Reference | None:
    """The name a descriptor is annotated with; a bare tag names no repository: none."""
    annotations = descriptor.annotations
    text = annotations.get(IMAGE_NAME) or annotations.get(REF_NAME, "")
    if not text or not any(mark in text for mark in ":/"):
        return None
    try:
        reference = Reference.parse(text).with_default_tag()
    except InvalidReference:
        return None
    return reference if reference.digest is None else None


def blob_path(digest: Digest) -> str:
    """Where a blob lies in a layout."""
    return f"blobs/{digest.algorithm}/{digest.hex}"
