"""Layers compressed to be pushed: once in its life, as the result is kept.

Compressed bytes depend on the library and its version. Only by keeping them does a layer have the
same digest at every push.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Final

from lamina.content.threads import run_to_end
from lamina.layers.compression import Compression, Compressor
from lamina.oci import mediatype
from lamina.records.catalogue import Layer, LayerBlob
from lamina.records.changes import PutLayer
from lamina.transfer.resources import Resources
from lamina.transfer.shared import Meter, Tell

MEDIA_TYPES: Final = {
    Compression.GZIP: mediatype.OCI_LAYER_GZIP,
    Compression.ZSTD: mediatype.OCI_LAYER_ZSTD,
}


def compressed_blob(blobs: Iterable[LayerBlob], preferred: Compression) -> LayerBlob | None:
    """The blob of a layer to push: compressed as preferred, else in another way; None if plain."""
    order = sorted(MEDIA_TYPES, key=lambda kind: kind is not preferred)
    for kind in order:
        for blob in sorted(blobs, key=lambda blob: blob.digest):
            if blob.media_type == MEDIA_TYPES[kind]:
                return blob
    return None


async def compress_layer(
    resources: Resources, layer: Layer, kind: Compression, tell: Tell
) -> LayerBlob:
    """Compress a layer that is here uncompressed, keep and record the result."""
    plain = next(blob for blob in layer.blobs if blob.media_type == mediatype.OCI_LAYER)
    meter = Meter(tell, layer.diff_id.short, "Preparing", plain.size)
    compressor = Compressor(kind)
    done = 0
    async with resources.incoming() as incoming:
        opened = resources.blobs.open(plain.digest)
        async with opened as reader, resources.blobs.ingest() as writer:
            async for chunk in reader.chunks():
                data = await run_to_end(partial(compressor.compress, chunk))
                if data:
                    await writer.write(data)
                done += len(chunk)
                meter(done)
            await writer.write(await run_to_end(compressor.finish))
            digest = await writer.finish()
            blob = LayerBlob(digest, MEDIA_TYPES[kind], writer.offset)
            await incoming.publish(writer, digest)
        record = replace(layer, blobs=(*layer.blobs, blob))
        await resources.records.change(lambda transaction: transaction.do(PutLayer(record)))
        incoming.recorded([digest])
    return blob
