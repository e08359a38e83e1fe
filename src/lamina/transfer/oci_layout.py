"""The OCI image layout (image-layout.md): ``index.json`` leads to manifests and blobs."""

from dataclasses import dataclass, field
from typing import Final

from lamina.errors import InvalidArchive, InvalidReference
from lamina.oci import mediatype
from lamina.oci.config import ImageConfig
from lamina.oci.descriptor import Descriptor
from lamina.oci.digest import Digest
from lamina.oci.index import Index, parse_manifest_or_index
from lamina.oci.manifest import Manifest
from lamina.oci.platform import Platform, choose
from lamina.oci.reference import Reference
from lamina.transfer.archive_intake import Members
from lamina.transfer.archived import ArchivedImage

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


def read_oci_layout(members: Members, index: bytes, platform: Platform) -> Layout:
    """Everything that ``index.json`` leads to, as far as the archive holds it.

    Of an index with several platforms the one for `platform` becomes the image that its names lead
    to, else its first; the whole index is kept beside. Raises InvalidArchive, InvalidManifest.
    """
    layout = Layout()
    images: dict[Digest, ArchivedImage] = {}
    for descriptor in Index.parse(index, mediatype.OCI_INDEX).manifests:
        manifest = _read_tree(members, descriptor, layout, platform, depth=0)
        if manifest is None:
            continue
        image = images.get(manifest.digest) or _image(members, manifest)
        name = _name(descriptor)
        if name is not None:
            layout.targets[name] = descriptor.digest
            image = ArchivedImage(image.config, image.layers, (*image.names, name))
        images[manifest.digest] = image
    layout.images = list(images.values())
    return layout


def _read_tree(
    members: Members, descriptor: Descriptor, layout: Layout, platform: Platform, *, depth: int
) -> Manifest | None:
    """Remember what `descriptor` leads to; returns the image manifest it stands for here."""
    if depth > _MAX_DEPTH:
        raise InvalidArchive("invalid archive: indexes are nested too deeply")
    raw = members.document(blob_path(descriptor.digest))
    if raw is None:
        # One platform of a larger index, left out by whoever made the archive.
        return None
    document = parse_manifest_or_index(raw, descriptor.media_type)
    layout.manifests[descriptor.digest] = document
    if isinstance(document, Manifest):
        return document if mediatype.is_config(document.config.media_type) else None
    choices: list[tuple[Platform, Manifest]] = []
    for child in document.manifests:
        manifest = _read_tree(members, child, layout, platform, depth=depth + 1)
        if manifest is not None and not _is_attestation(child):
            choices.append((_platform_of(members, child, manifest), manifest))
    if not choices:
        return None
    best = choose([option for option, _ in choices], platform)
    return choices[best or 0][1]


def _platform_of(members: Members, descriptor: Descriptor, manifest: Manifest) -> Platform:
    if descriptor.platform is not None:
        return descriptor.platform
    return _config(members, manifest).platform


def _is_attestation(descriptor: Descriptor) -> bool:
    platform = descriptor.platform
    return platform is not None and platform.os == "unknown"


def _image(members: Members, manifest: Manifest) -> ArchivedImage:
    return ArchivedImage(
        config=_config(members, manifest),
        layers=tuple(blob_path(layer.digest) for layer in manifest.layers),
    )


def _config(members: Members, manifest: Manifest) -> ImageConfig:
    path = blob_path(manifest.config.digest)
    raw = members.document(path)
    if raw is None:
        raise InvalidArchive(f"open {path}: no such file or directory")
    return ImageConfig.parse(raw)


def _name(descriptor: Descriptor) -> Reference | None:
    """The name a descriptor is annotated with; a bare tag names no repository: none."""
    annotations = descriptor.annotations or {}
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
