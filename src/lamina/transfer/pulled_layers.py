"""All layers of an image out of a registry, those here already excepted."""

import asyncio
from collections.abc import Mapping

from lamina.oci.config import ImageConfig
from lamina.oci.descriptor import Descriptor
from lamina.oci.digest import Digest
from lamina.oci.manifest import Manifest
from lamina.progress import LayerProgress, Report
from lamina.records.catalogue import Catalogue, Layer
from lamina.records.changes import KeepLayer, PutBlobSources, PutLayer
from lamina.records.records import Lease
from lamina.registry.repository import Repository
from lamina.transfer.pulled_layer import pull_layer
from lamina.transfer.remote_image import LayersDoNotMatch
from lamina.transfer.remotes import Remotes
from lamina.transfer.resources import Resources
from lamina.transfer.shared import Tell


def held_layers(catalogue: Catalogue, manifest: Manifest) -> dict[Digest, Layer]:
    """The layers of a manifest that are here in just its blobs, by the blobs' digests."""
    found = {layer.digest: catalogue.layer_of_blob(layer.digest) for layer in manifest.layers}
    return {digest: layer for digest, layer in found.items() if layer is not None}


async def protect_layers(lease: Lease, manifest: Manifest) -> dict[Digest, Layer]:
    """`held_layers`, which stay from now on, as will those that are yet to come."""
    digests = [layer.digest for layer in manifest.layers]
    return await lease.claim(lambda catalogue: (held_layers(catalogue, manifest), digests))


class LayerPuller:
    """Pulls layers out of one repository, whose canonical name is `name`."""

    def __init__(
        self, resources: Resources, remotes: Remotes, repository: Repository, name: str
    ) -> None:
        self._resources = resources
        self._remotes = remotes
        self._repository = repository
        self._name = name

    async def pull(
        self,
        manifest: Manifest,
        config: ImageConfig,
        held: Mapping[Digest, Layer],
        report: Report,
    ) -> tuple[Layer, ...]:
        """The layers, base first; the caller has protected their blobs by a lease.

        Raises LayersDoNotMatch, CorruptData, and as `Repository.download` does.
        """
        for descriptor in manifest.layers:
            action = "Already exists" if descriptor.digest in held else "Pulling fs layer"
            await report(LayerProgress(descriptor.digest.short, action))
        layers: list[Layer] = []
        try:
            async with asyncio.TaskGroup() as group:
                coming = {
                    descriptor.digest: group.create_task(self._pull_one(descriptor, report))
                    for descriptor in manifest.layers
                    if descriptor.digest not in held
                }
                for descriptor, diff_id in zip(manifest.layers, config.diff_ids, strict=True):
                    layer = held.get(descriptor.digest) or await coming[descriptor.digest]
                    if layer.diff_id != diff_id:
                        raise LayersDoNotMatch
                    layers.append(layer)
                    if descriptor.digest not in held:
                        await _tell_complete(descriptor, report)
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return tuple(layers)

    async def _pull_one(self, descriptor: Descriptor, report: Report) -> Layer:
        async def work(tell: Tell) -> Layer:
            blobs, records = self._resources.blobs, self._resources.records
            layer = await pull_layer(
                blobs, self._repository, descriptor, tell, hashing=self._remotes.hashing
            )
            now = self._resources.now()
            changes = (
                PutLayer(layer),
                # Until an image has it: the pull may end before it has all of them.
                KeepLayer(layer.diff_id, now),
                PutBlobSources(self._name, (descriptor.digest,)),
            )
            await records.change(lambda transaction: transaction.do_all(changes))
            return layer

        digest = descriptor.digest
        return await self._remotes.downloads.run(digest, digest.short, work, report)


async def _tell_complete(descriptor: Descriptor, report: Report) -> None:
    # Nothing is unpacked; clients wait for these words all the same.
    name, size = descriptor.digest.short, descriptor.size
    await report(LayerProgress(name, "Extracting", size, size))
    await report(LayerProgress(name, "Pull complete"))
