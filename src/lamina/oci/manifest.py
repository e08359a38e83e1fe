"""Manifests: the configuration and the layers of one image (OCI image-spec, manifest.md)."""

from collections.abc import Iterable, Mapping

import msgspec

from lamina.errors import InvalidManifest
from lamina.oci import jsontext, mediatype
from lamina.oci.descriptor import Descriptor
from lamina.oci.document import Document, always, received_as
from lamina.oci.envelope import effective_media_type


class Manifest(
    Document,
    frozen=True,
    kw_only=True,
    rename={
        "schema_version": "schemaVersion",
        "media_type": "mediaType",
        "artifact_type": "artifactType",
    },
):
    """An OCI manifest or a Docker one of schema 2.

    `media_type` is known even where the document leaves it out. `layers` has the base layer first.
    """

    schema_version: int = always(lambda: 2)
    media_type: str = ""
    artifact_type: str = ""
    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    annotations: dict[str, str] = msgspec.field(default_factory=dict)

    @staticmethod
    def parse(raw: bytes, media_type: str | None = None) -> "Manifest":
        """Read a manifest that was delivered as `media_type`, if that is known.

        Raises InvalidManifest (for an index, too), UnsupportedMediaType (Docker's schema 1, …).
        """
        effective = effective_media_type(raw, media_type)
        if not mediatype.is_manifest(effective):
            raise InvalidManifest(f"invalid manifest: is an index ({effective})")
        manifest = jsontext.decode(_DECODER, raw, what="manifest")
        if not manifest.media_type:
            manifest = msgspec.structs.replace(manifest, media_type=effective)
        return received_as(raw, manifest)

    @staticmethod
    def build(
        config: Descriptor,
        layers: Iterable[Descriptor],
        *,
        media_type: str = mediatype.OCI_MANIFEST,
        annotations: Mapping[str, str] | None = None,
    ) -> "Manifest":
        """Make a manifest; equal arguments give equal bytes."""
        return Manifest(
            media_type=media_type,
            config=config,
            layers=tuple(layers),
            annotations=dict(annotations or {}),
        )


_DECODER = jsontext.decoder(Manifest)
