"""`image_create`: an image comes out of a registry, or is made of a tarball."""

import asyncio
from collections.abc import Sequence

from lamina.engine.registry_access import headers_of, parse_auth
from lamina.engine.tagging import parse_import_name
from lamina.image_api import MetaHeaders, RegistryAuth
from lamina.oci.platform import Platform
from lamina.progress import Operation, Report
from lamina.streams import ByteSource
from lamina.transfer.importing import Import, import_image
from lamina.transfer.pull import Pull, pull_images
from lamina.transfer.remotes import Remotes
from lamina.transfer.resources import Resources


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
        wanted = await asyncio.to_thread(
            Import.check,
            source=source,
            name=parse_import_name(repo, tag) if repo else None,
            message=message,
            changes=changes,
            platform=Platform.parse(platform) if platform else resources.platform,
        )
        return await import_image(resources, remotes, wanted, body, report=report)

    return Operation(work)
