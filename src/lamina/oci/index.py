"""Indexes: one image for several platforms (OCI image-spec, image-index.md)."""

from collections.abc import Iterable, Mapping

import msgspec

from lamina.errors import InvalidManifest
from lamina.oci import jsontext, mediatype
from lamina.oci.descriptor import Descriptor
from lamina.oci.document import Document, always, received_as
from lamina.oci.envelope import effective_media_type
from lamina.oci.manifest import Manifest


class Index(
    Document,
    frozen=True,
    kw_only=True,
    rename={
        "schema_version": "schemaVersion",
        "media_type": "mediaType",
        "artifact_type": "artifactType",
    },
):
    """An OCI index or a Docker manifest list.

    `media_type` is known even where the document leaves it out.
    """

    schema_version: int = always(lambda: 2)
    media_type: str = ""
    artifact_type: str = ""
    manifests: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    annotations: dict[str, str] = msgspec.field(default_factory=dict)

    @staticmethod
    def parse(raw: bytes, media_type: str | None = None) -> "Index":
        """Read an index that was delivered as `media_type`, if that is known.

        Raises InvalidManifest (for a manifest, too), UnsupportedMediaType.
        """
        effective = effective_media_type(raw, media_type)
        if not mediatype.is_index(effective):
            raise InvalidManifest(f"invalid index: is a manifest ({effective})")
        index = jsontext.decode(_DECODER, raw, what="index")
        if not index.media_type:
            index = msgspec.structs.replace(index, media_type=effective)
        return received_as(raw, index)

    @staticmethod
    def build(
        manifests: Iterable[Descriptor],
        *,
        media_type: str = mediatype.OCI_INDEX,
        annotations: Mapping[str, str] | None = None,
    ) -> "Index":
        """Make an index; equal arguments give equal bytes."""
        return Index(
            media_type=media_type,
            manifests=tuple(manifests),
            annotations=dict(annotations or {}),
        )


_DECODER = jsontext.decoder(Index)


def parse_manifest_or_index(raw: bytes, media_type: str | None = None) -> Manifest | Index:
    """Read whichever it is. Raises InvalidManifest, UnsupportedMediaType."""
    effective = effective_media_type(raw, media_type)
    if mediatype.is_index(effective):
        return Index.parse(raw, effective)
    return Manifest.parse(raw, effective)
