"""Telling manifests, indexes and what is neither apart, before any of them is believed.

A document must not be readable as two things (CVE-2021-41190): whoever verified the one might run
the other. So its ``mediaType``, the type it was delivered as and its members have to agree.
"""

import msgspec

from lamina.errors import InvalidManifest, UnsupportedMediaType
from lamina.oci import jsontext, mediatype

_SCHEMA1_REFUSED = (
    "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been "
    "removed. Suggest the author of the image to upgrade it to the OCI Format or Docker Image "
    "manifest v2, schema 2. More information at https://docs.docker.com/go/deprecated-image-specs/"
)

# What servers say that know JSON, or a file, and not what is in it.
_MEANINGLESS = frozenset({"", "application/json", "application/octet-stream", "text/plain"})

_ABSENT = msgspec.Raw(b"null")


class _Envelope(
    msgspec.Struct,
    rename={"schema_version": "schemaVersion", "media_type": "mediaType", "fs_layers": "fsLayers"},
):
    schema_version: int = 0
    media_type: str = ""
    config: msgspec.Raw = _ABSENT
    layers: msgspec.Raw = _ABSENT
    manifests: msgspec.Raw = _ABSENT
    fs_layers: msgspec.Raw = _ABSENT

    def has(self, member: str) -> bool:
        """Whether the document has `member`, and not as null."""
        return bytes(getattr(self, member)) != b"null"


_ENVELOPE = jsontext.decoder(_Envelope)


def effective_media_type(raw: bytes, delivered_as: str | None = None) -> str:
    """The media type of a manifest or an index, whether or not the document tells it.

    `delivered_as` is a descriptor's media type or a response's Content-Type. Raises
    InvalidManifest, UnsupportedMediaType (schema 1, and what is neither manifest nor index).
    """
    envelope = jsontext.decode(_ENVELOPE, raw, what="manifest")
    delivered = (delivered_as or "").partition(";")[0].strip().lower()
    delivered = "" if delivered in _MEANINGLESS else delivered
    claims = {claim for claim in (delivered, envelope.media_type) if claim}
    for claim in sorted(claims):
        _check_supported(claim)
    if envelope.schema_version == 1 or envelope.has("fs_layers"):
        raise UnsupportedMediaType(_SCHEMA1_REFUSED, media_type=mediatype.DOCKER_SCHEMA1)
    if envelope.schema_version != 2:
        raise InvalidManifest(f"unrecognized manifest schema version {envelope.schema_version}")
    if len(claims) > 1:
        raise InvalidManifest(
            f"mediaType in manifest should be '{delivered}' not '{envelope.media_type}'"
        )
    media_type = claims.pop() if claims else _guess(envelope)
    _check_members(envelope, media_type)
    return media_type


def _check_supported(media_type: str) -> None:
    if mediatype.is_schema1(media_type):
        raise UnsupportedMediaType(_SCHEMA1_REFUSED, media_type=media_type)
    if not (mediatype.is_manifest(media_type) or mediatype.is_index(media_type)):
        raise UnsupportedMediaType(f"unsupported media type {media_type}", media_type=media_type)


def _guess(envelope: _Envelope) -> str:
    """OCI allows to leave the media type out; Docker never did."""
    return mediatype.OCI_INDEX if envelope.has("manifests") else mediatype.OCI_MANIFEST


def _check_members(envelope: _Envelope, media_type: str) -> None:
    if mediatype.is_index(media_type):
        if envelope.has("config") or envelope.has("layers"):
            raise InvalidManifest("invalid index: has the members of a manifest")
    elif envelope.has("manifests"):
        raise InvalidManifest("invalid manifest: has the members of an index")
