"""Descriptors: what a blob is, its digest and its size (OCI image-spec, descriptor.md)."""

from typing import Annotated

import msgspec

from lamina.oci.digest import Digest
from lamina.oci.platform import Platform

Size = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""A length in bytes. Every engine counts in 64 bits with a sign."""


class Descriptor(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    rename={"media_type": "mediaType", "artifact_type": "artifactType"},
):
    """A typed pointer to a blob. Content embedded in it (``data``) is not read."""

    media_type: str
    digest: Digest
    size: Size
    urls: tuple[str, ...] = ()
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    platform: Platform | None = None
    artifact_type: str = ""
