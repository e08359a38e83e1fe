"""`image_push`: a tag or all tags into a registry."""

from lamina.engine.registry_access import headers_of, parse_auth
from lamina.image_api import MetaHeaders, RegistryAuth
from lamina.progress import Operation, Report
from lamina.transfer.push import Push, push_images
from lamina.transfer.remotes import Remotes
from lamina.transfer.resources import Resources


def push_image(
    resources: Resources,
    remotes: Remotes,
    *,
    name: str,
    tag: str,
    auth: RegistryAuth,
    meta: MetaHeaders | None,
) -> Operation[dict[str, str]]:
    """The operation; a bad name fails it before its first event."""

    async def work(report: Report) -> dict[str, str]:
        wanted = Push(Push.parse_name(name, tag), parse_auth(auth), headers_of(meta))
        return await push_images(resources, remotes, wanted, report=report)

    return Operation(work)
