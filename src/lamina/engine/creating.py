"""`image_create`: an image comes out of a registry, or is made of a tarball."""

from collections.abc import Sequence

import msgspec

from lamina.engine.tagging import parse_import_name
from lamina.errors import InvalidParameter
from lamina.image_api import RegistryAuth
from lamina.oci.platform import Platform
from lamina.progress import Operation, Report
from lamina.registry.credentials import AuthConfig, decode_header, unpack
from lamina.streams import ByteSource
from lamina.transfer.importing import Import, import_image
from lamina.transfer.pull import Pull, pull_images
from lamina.transfer.remotes import Remotes
from lamina.transfer.resources import Resources


def parse_auth(given: RegistryAuth) -> AuthConfig | None:
    """The credentials that a request brings; None if there are none, or no sense in them."""
    try:
        if isinstance(given, str):
            return decode_header(given) if given else None
        return unpack(msgspec.convert(dict(given), AuthConfig))
    except (InvalidParameter, msgspec.ValidationError):
        # As a dockerd does it: the registry will say that it does not know who this is.
        return None


def pull_image(
    resources: Resources,
    remotes: Remotes,
    *,
    image: str,
    tag: str,
    platform: str,
    auth: RegistryAuth,
) -> Operation[str]:
    """The half that pulls."""

    async def work(report: Report) -> str:
        wanted = Pull(
            reference=Pull.parse_name(image, tag),
            platform=Platform.parse(platform) if platform else None,
            credentials=parse_auth(auth),
        )
        return await pull_images(resources, remotes, wanted, report=report)

    return Operation(work)


def import_tarball(
    resources: Resources,
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
        return await import_image(resources, wanted, body, report=report)

    return Operation(work)
