"""Images of the tests, as small as a registry takes them."""

import json

from lamina.oci import mediatype
from lamina.oci.digest import Digest
from lamina.registry.repository import Repository
from tests.registry.blobs import Blob


def manifest_of(config: Blob, *layers: Blob) -> bytes:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": mediatype.OCI_MANIFEST,
            "config": {
                "mediaType": mediatype.OCI_CONFIG,
                "digest": str(config.digest),
                "size": config.size,
            },
            "layers": [
                {
                    "mediaType": mediatype.OCI_LAYER,
                    "digest": str(layer.digest),
                    "size": layer.size,
                }
                for layer in layers
            ],
        }
    ).encode()


async def push_image(repository: Repository, layer: Blob, tag: str) -> Digest:
    config = Blob(b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}')
    for blob in (config, layer):
        await repository.upload(blob)
    return await repository.put(manifest_of(config, layer), mediatype.OCI_MANIFEST, tag=tag)
