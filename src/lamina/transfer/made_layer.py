"""A layer that was made here, of what changed in a root filesystem."""

from collections.abc import Iterator
from functools import partial

from lamina.content.threads import run_to_end
from lamina.layers.tarwriter import END
from lamina.records.catalogue import Layer
from lamina.transfer.incoming import Incoming
from lamina.transfer.layer_intake import LayerIntake, StoredLayer

__all__ = ["store_made_layer"]


async def store_made_layer(coming: Incoming, tar: Iterator[bytes]) -> Layer | None:
    """Put a layer into the store, unless there is nothing in it. `tar` is read in a thread."""
    async with coming.blobs.ingest() as writer:
        intake = LayerIntake(writer)
        stored = await run_to_end(partial(_take_in, intake, tar))
        if stored is None:
            return None
        await coming.publish(writer, stored.blob.digest)
    return stored.record()


def _take_in(intake: LayerIntake, tar: Iterator[bytes]) -> StoredLayer | None:
    first = next(tar)
    if first == END:
        return None
    intake.feed(first)
    for piece in tar:
        intake.feed(piece)
    return intake.finish()
