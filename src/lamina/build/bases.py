"""Images that a build begins from or copies out of: those that are here, or pulled."""

from lamina.build.ledger import BuiltImage, Ledger
from lamina.build.request import BuildRequest
from lamina.errors import ImageNotFound, LaminaError
from lamina.oci.digest import Digest
from lamina.oci.platform import Platform
from lamina.oci.reference import Reference
from lamina.progress import Event, Report, StatusLine
from lamina.records.catalogue import Catalogue, Image
from lamina.records.lookup import find_image
from lamina.transfer.pull import Pull, pull_images
from lamina.transfer.remotes import Remotes
from lamina.transfer.resources import Resources


class BaseImages:
    """Gets images for one build; what it gives stays while the build lasts."""

    def __init__(
        self, resources: Resources, remotes: Remotes, ledger: Ledger, request: BuildRequest
    ) -> None:
        self._resources = resources
        self._remotes = remotes
        self._ledger = ledger
        self._request = request

    async def get(self, name: str, *, platform: Platform | None, report: Report) -> BuiltImage:
        """The image of that name, pulled if it is not here or the request wants it fresh.

        `platform` is None where none was asked for: then an image that is here will do, whatever
        it was made for. Raises InvalidReference, and what a pull raises.
        """
        if not self._request.pull:
            try:
                found = await self._claim(name)
            except ImageNotFound:
                pass
            else:
                if platform is None or platform.matches(found.config.platform):
                    return found
        reference = Pull.parse_name(name, "").with_default_tag()
        wanted = Pull(reference, platform, self._request.credentials_for(reference))
        await pull_images(self._resources, self._remotes, wanted, report=report)
        found = await self._claim(str(reference))
        if platform is not None and not platform.matches(found.config.platform):
            await report(StatusLine(_mismatch(platform, found, reference)))
        return found

    async def cache_sources(self) -> list[BuiltImage]:
        """The images of ``cachefrom``, pulled if they are not here; those that are nowhere not."""
        found = []
        for name in self._request.cache_from:
            try:
                found.append(await self.get(name, platform=None, report=_silently))
            except LaminaError:
                # As a dockerd does it: the build is slower, not wrong.
                continue
        return found

    async def _claim(self, name: str) -> BuiltImage:
        def find(catalogue: Catalogue) -> tuple[Image, list[Digest]]:
            image = find_image(catalogue, name)
            layers = [catalogue.layers[diff_id] for diff_id in image.diff_ids]
            return image, [image.id, *(blob.digest for layer in layers for blob in layer.blobs)]

        image = await self._ledger.coming.lease.claim(find)
        config = await self._resources.configs.get(image.id)
        return BuiltImage.known(self._resources.records.catalogue, image, config)


async def _silently(event: Event) -> None:
    """For what nobody asked to hear of."""


def _mismatch(platform: Platform, found: BuiltImage, reference: Reference) -> str:
    return (
        f"WARNING: Pulled image with specified platform ({platform}), but the resulting image's"
        f" configured platform ({found.config.platform}) does not match.\n"
        "This is most likely caused by a bug in the build system that created the fetched image"
        f" ({reference.familiar}).\n"
        "Please notify the image author to correct the configuration."
    )
