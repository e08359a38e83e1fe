"""`image_create` with `from_src`: a tarball of a root filesystem becomes an image of one layer."""

import contextlib
import io
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from lamina.content.threads import run_to_end
from lamina.dockerfile.changes import apply_changes
from lamina.oci.config import ContainerConfig, HistoryEntry, ImageConfig
from lamina.oci.platform import Platform
from lamina.oci.reference import Reference
from lamina.oci.timestamp import format_timestamp
from lamina.progress import Report, StatusLine
from lamina.records.changes import PutImage, PutLayer
from lamina.records.configs import readable
from lamina.records.happenings import image_event, put_tag
from lamina.records.records import Transaction
from lamina.streams import ByteSource, chunks_of
from lamina.transfer.download import download
from lamina.transfer.images import image_record
from lamina.transfer.incoming import Incoming
from lamina.transfer.layer_intake import LayerIntake, StoredLayer
from lamina.transfer.remotes import Remotes
from lamina.transfer.resources import Resources

FROM_BODY: Final = "-"


@dataclass(frozen=True, slots=True)
class Import:
    """What to import, checked: `name` is None for an image without a name."""

    source: str
    name: Reference | None
    message: str
    config: ContainerConfig
    platform: Platform

    @classmethod
    def check(
        cls,
        *,
        source: str,
        name: Reference | None,
        message: str,
        changes: Sequence[str],
        platform: Platform,
    ) -> "Import":
        """Apply `changes`, and fill in scheme and message; many take their time.

        Raises InvalidParameter.
        """
        if source != FROM_BODY and "://" not in source:
            source = f"http://{source}"
        return cls(
            source=source,
            name=name,
            message=message or f"Imported from {source}",
            config=apply_changes(ContainerConfig(), changes),
            platform=platform,
        )


async def import_image(
    resources: Resources,
    remotes: Remotes,
    wanted: Import,
    body: ByteSource | None,
    *,
    report: Report,
) -> str:
    """Store the tarball as a layer and record an image of it; returns the image's ID.

    Raises InvalidLayer for what is no tar, InvalidParameter for changes that add up to too long a
    configuration, NotFound and others for a URL that does not give one.
    """
    if wanted.source == FROM_BODY:
        chunks = chunks_of(body or io.BytesIO())
    else:
        chunks = download(remotes.transport, wanted.source, report, action="Importing")
    async with resources.incoming() as coming, contextlib.aclosing(chunks):
        layer = await _store_layer(coming, chunks)
        now = resources.now()
        config = readable(_image_config(wanted, layer, now))
        await coming.store_documents({config.digest: config.raw})
        await resources.records.change(
            lambda transaction: _record(transaction, wanted, config, layer, now)
        )
        coming.recorded((layer.blob.digest, config.digest))
    await report(StatusLine(str(config.digest)))
    return str(config.digest)


async def _store_layer(coming: Incoming, chunks: AsyncGenerator[bytes, None]) -> StoredLayer:
    async with coming.blobs.ingest() as writer:
        intake = LayerIntake(writer)
        async for chunk in chunks:
            await run_to_end(partial(intake.feed, chunk))
        layer = await run_to_end(intake.finish)
        await coming.publish(writer, layer.blob.digest)
    return layer


def _image_config(wanted: Import, layer: StoredLayer, now: int) -> ImageConfig:
    created = datetime.fromtimestamp(now // 1000 / 1_000_000, UTC)
    entry = HistoryEntry(created_text=format_timestamp(created), comment=wanted.message)
    return ImageConfig.build(
        config=wanted.config,
        platform=wanted.platform,
        created=created,
        comment=wanted.message,
        diff_ids=(layer.diff_id,),
        history=(entry,),
    )


def _record(
    transaction: Transaction, wanted: Import, config: ImageConfig, layer: StoredLayer, now: int
) -> None:
    image = image_record(config, (layer.record(),))
    transaction.do(PutLayer(layer.record()))
    transaction.do(PutImage(transaction.catalogue.images.get(image.id) or image))
    if wanted.name is not None:
        put_tag(transaction, image, wanted.name, target=None, now=now)
    transaction.do(image_event("import", image, actor=image.id, name=str(image.id), time=now))
