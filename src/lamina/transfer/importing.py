"""`image_create` with `from_src`: a tarball of a root filesystem becomes an image of one layer."""

import contextlib
import io
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

import aiohttp

from lamina.content.threads import run_to_end
from lamina.dockerfile.changes import apply_changes
from lamina.errors import (
    Forbidden,
    InvalidParameter,
    LaminaError,
    NotFound,
    Unauthorized,
)
from lamina.oci.config import ContainerConfig, HistoryEntry, ImageConfig
from lamina.oci.platform import Platform
from lamina.oci.reference import Reference
from lamina.oci.timestamp import format_timestamp
from lamina.progress import LayerProgress, Report, StatusLine
from lamina.records.changes import PutImage, PutLayer
from lamina.records.happenings import image_event, put_tag
from lamina.records.records import Transaction
from lamina.streams import CHUNK_SIZE, ByteSource, chunks_of
from lamina.transfer.images import image_record
from lamina.transfer.incoming import Incoming
from lamina.transfer.layer_intake import LayerIntake, StoredLayer
from lamina.transfer.resources import Resources

FROM_BODY: Final = "-"
_CONNECT_TIMEOUT: Final = 30.0
_STALL_TIMEOUT: Final = 120.0
_MAX_ERROR_BODY: Final = 1024
_REMOTE_ERRORS: Final[dict[int, type[LaminaError]]] = {
    400: InvalidParameter,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
}


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
        """Apply `changes`, and fill in scheme and message. Raises InvalidParameter."""
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
    resources: Resources, wanted: Import, body: ByteSource | None, *, report: Report
) -> str:
    """Store the tarball as a layer and record an image of it; returns the image's ID.

    Raises InvalidLayer for what is no tar, NotFound and others for a URL that does not give one.
    """
    if wanted.source == FROM_BODY:
        chunks = chunks_of(body or io.BytesIO())
    else:
        chunks = _download(wanted.source, report)
    async with resources.incoming() as coming, contextlib.aclosing(chunks):
        layer = await _store_layer(coming, chunks)
        now = resources.now()
        config = _image_config(wanted, layer, now)
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


async def _download(url: str, report: Report) -> AsyncGenerator[bytes, None]:
    """The body of a URL."""
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=_CONNECT_TIMEOUT, sock_read=_STALL_TIMEOUT
    )
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session,
            session.get(url) as response,
        ):
            if response.status >= 400:
                raise await _remote_error(response, url)
            await report(StatusLine(f"Downloading from {url}"))
            done = 0
            async for chunk in response.content.iter_chunked(CHUNK_SIZE):
                done += len(chunk)
                await report(LayerProgress("", "Importing", done, response.content_length))
                yield chunk
    except aiohttp.NonHttpUrlClientError as error:
        scheme = url.partition(":")[0]
        raise LaminaError(f'Get "{url}": unsupported protocol scheme "{scheme}"') from error
    except aiohttp.InvalidURL as error:
        raise InvalidParameter(f"invalid URL: {url}") from error
    except aiohttp.ClientConnectorDNSError as error:
        raise NotFound(f'Get "{url}": dial tcp: lookup {error.host}: no such host') from error
    except aiohttp.ClientConnectorError as error:
        reason = (error.os_error.strerror or str(error)).lower()
        raise LaminaError(
            f'Get "{url}": dial tcp {error.host}:{error.port}: connect: {reason}'
        ) from error
    except TimeoutError as error:
        raise LaminaError(f'Get "{url}": timeout') from error
    except aiohttp.ClientError as error:
        raise LaminaError(f'Get "{url}": {error}') from error


async def _remote_error(response: aiohttp.ClientResponse, url: str) -> LaminaError:
    body = await response.content.read(_MAX_ERROR_BODY)
    text = body.decode(errors="replace").strip()
    message = f"failed to GET {url} with status {response.status} {response.reason}: {text}"
    return _REMOTE_ERRORS.get(response.status, LaminaError)(message)
