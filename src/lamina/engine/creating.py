"""`image_create`: an image comes out of a registry, or is made of a tarball."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from lamina.engine.tagging import parse_import_name
from lamina.errors import InvalidParameter
from lamina.image_api import MetaHeaders, RegistryAuth
from lamina.oci.platform import Platform
from lamina.progress import Operation, Report
from lamina.registry.credentials import AuthConfig, decode_header, unpack
from lamina.streams import ByteSource
from lamina.transfer.importing import Import, import_image
from lamina.transfer.pull import Pull, pull_images
from lamina.transfer.remotes import Remotes
from lamina.transfer.resources import Resources

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""What a header's name is made of (RFC 9110 §5.6.2)."""


def parse_auth(given: RegistryAuth) -> AuthConfig | None:
    """The credentials that a request brings; None if there are none, or no sense in them."""
    try:
        if isinstance(given, str):
            return decode_header(given) if given else None
        return unpack(msgspec.convert(dict(given), AuthConfig))
    except (InvalidParameter, msgspec.ValidationError):
        # As a dockerd does it: the registry will say that it does not know who this is.
        return None


def headers_of(meta: MetaHeaders | None) -> dict[str, str]:
    """The headers that tell a registry what its caller wants it told. Raises InvalidParameter."""
    for name, value in (meta or {}).items():
        if not (_NAME.fullmatch(name) and value.isprintable()):
            raise InvalidParameter(f"invalid header X-Meta-{name}: {value!r}"[:200])
    return {f"X-Meta-{name}": value for name, value in (meta or {}).items()}


def pull_image(
    resources: Resources,
    remotes: Remotes,
    *,
    image: str,
    tag: str,
    platform: str,
    auth: RegistryAuth,
    meta: MetaHeaders | None,
) -> Operation[str]:
    """The half that pulls."""

    async def work(report: Report) -> str:
        wanted = Pull(
            reference=Pull.parse_name(image, tag),
            platform=Platform.parse(platform) if platform else None,
            credentials=parse_auth(auth),
            headers=headers_of(meta),
        )
        return await pull_images(resources, remotes, wanted, report=report)

    return Operation(work)


def import_tarball(
    resources: Resources,
    remotes: Remotes,
    *,
    source: str,
    repo: str,
    tag: str,
    message: str,
    changes: Sequence[str],
    platform: str,
    body: ByteSource | None,
) -> Operation[str]:
    """The half that imports."""

    async def work(report: Report) -> str:
        wanted = Import.check(
            source=source,
            name=parse_import_name(repo, tag) if repo else None,
            message=message,
            changes=changes,
            platform=Platform.parse(platform) if platform else resources.platform,
        )
        return await import_image(resources, remotes, wanted, body, report=report)

    return Operation(work)
