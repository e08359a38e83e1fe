"""`image_get` and `image_get_all`: images as one tar archive, for every reader there is.

The archive is an OCI image layout, today's `docker save` format (``manifest.json``) and the format
of the API's document (a directory per layer, ``repositories``) at once. Every blob stands in it
once, as it lies in the store, under ``blobs/``; the other formats name it or link to it. What
readers need first comes first, so that the archive can be read in one pass. The same images give
the same bytes.
"""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import msgspec

from lamina.content.store import BlobStore
from lamina.content.threads import run_to_end
from lamina.layers.tarheader import EntryType
from lamina.layers.tarwriter import END, archive_size, header_bytes, padding
from lamina.oci import mediatype
from lamina.oci.digest import Digest
from lamina.oci.index import Index
from lamina.oci.reference import Reference
from lamina.oci.timestamp import parse_unix
from lamina.records.happenings import image_event
from lamina.records.lookup import find_image, find_images
from lamina.records.records import Transaction
from lamina.streams import ByteStream
from lamina.transfer import docker_archive, legacy_archive, oci_layout
from lamina.transfer.resources import Resources
from lamina.transfer.saved_image import Find, SavedImage, locate_images
from lamina.transfer.v1_layers import VERSION, V1Layer, v1_layers


@dataclass(frozen=True, slots=True)
class _Entry:
    """One member of the archive: its header blocks, and its bytes or the blob that holds them."""

    header: bytes
    content: bytes | Digest
    size: int


class ImageArchive:
    """A tar archive to be read once, in chunks; `size` in bytes is known beforehand."""

    def __init__(self, entries: Sequence[_Entry], blobs: BlobStore) -> None:
        self._entries = entries
        self._blobs = blobs
        self.size: int | None = archive_size([(entry.header, entry.size) for entry in entries])
        self._chunks = self._read()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def aclose(self) -> None:
        """Close the blob that is being read, if the archive was not read to its end."""
        await self._chunks.aclose()

    async def _read(self) -> AsyncGenerator[bytes, None]:
        waiting = bytearray()
        for entry in self._entries:
            waiting += entry.header
            if isinstance(entry.content, bytes):
                waiting += entry.content
            else:
                yield bytes(waiting)
                waiting.clear()
                async with self._blobs.open(entry.content) as reader:
                    async for chunk in reader.chunks():
                        yield chunk
            waiting += padding(entry.size)
        yield bytes(waiting) + END


@asynccontextmanager
async def save_images(resources: Resources, names: Sequence[str]) -> AsyncIterator[ByteStream]:
    """An archive of the images that `names` mean; to be read while the context lasts.

    Raises ImageNotFound, NotFound, InvalidReference.
    """
    find = partial(find_images, names=names)
    # Before a lease is taken, so that a wrong name costs nothing.
    find(resources.records.catalogue)
    async with _saved(resources, find) as archive:
        yield archive


def save_image(
    resources: Resources, image_id: Digest, names: tuple[Reference, ...]
) -> AbstractAsyncContextManager[ByteStream]:
    """An archive of one image under `names`, which need not be its own. Raises ImageNotFound."""
    return _saved(resources, lambda catalogue: {find_image(catalogue, str(image_id)).id: names})


@asynccontextmanager
async def _saved(resources: Resources, find: Find) -> AsyncIterator[ByteStream]:
    async with resources.records.lease() as lease:
        images = await locate_images(resources, lease, find)
        entries = await run_to_end(lambda: list(_entries(images)))
        now = resources.now()
        await resources.records.change(lambda transaction: _tell(transaction, images, now))
        async with contextlib.aclosing(ImageArchive(entries, resources.blobs)) as archive:
            yield archive


def _tell(transaction: Transaction, images: Sequence[SavedImage], now: int) -> None:
    for saved in images:
        image = saved.image
        event = image_event("save", image, actor=image.id, name=str(image.id), time=now)
        transaction.do(event)


def _entries(images: Sequence[SavedImage]) -> Iterator[_Entry]:
    layers = [v1_layers(image.config, image.layers) for image in images]
    yield from _metadata(images, layers)
    yield from _blobs(images)
    yield from _layer_directories(images, layers)


def _metadata(
    images: Sequence[SavedImage], layers: Sequence[Sequence[V1Layer]]
) -> Iterator[_Entry]:
    descriptors = [descriptor for image in images for descriptor in image.descriptors]
    index = Index.build(descriptors, media_type=mediatype.OCI_INDEX)
    yield _file("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    yield _file(oci_layout.INDEX, index.raw)
    ids = {image.config.digest for image in images}
    items = [
        docker_archive.Item(
            config=oci_layout.blob_path(image.config.digest),
            repo_tags=[tag.familiar for tag in image.tags] or None,
            layers=[oci_layout.blob_path(blob.digest) for blob in image.layers],
            parent=str(image.image.parent) if image.image.parent in ids else msgspec.UNSET,
        )
        for image in images
    ]
    yield _file(docker_archive.MANIFEST, docker_archive.encode_manifest(items))
    repositories: dict[str, dict[str, str]] = {}
    for image, stack in zip(images, layers, strict=True):
        for tag in image.tags:
            if tag.tag is not None and stack:
                repositories.setdefault(tag.familiar_name, {})[tag.tag] = stack[-1].id
    if repositories:
        content = legacy_archive.encode_repositories(repositories)
        yield _file(legacy_archive.REPOSITORIES, content)


def _blobs(images: Sequence[SavedImage]) -> Iterator[_Entry]:
    blobs: dict[Digest, bytes | int] = {}
    for image in images:
        blobs.update(image.blobs)
    for directory in ("blobs", *sorted({f"blobs/{digest.algorithm}" for digest in blobs})):
        yield _directory(directory, 0)
    # Small ones first: a reader of the stream knows what the layers are before they come.
    for digest, content in sorted(blobs.items(), key=lambda item: (_size(item[1]), str(item[0]))):
        path = oci_layout.blob_path(digest)
        if isinstance(content, bytes):
            yield _file(path, content)
        else:
            yield _Entry(header_bytes(path, size=content), digest, content)


def _layer_directories(
    images: Sequence[SavedImage], layers: Sequence[Sequence[V1Layer]]
) -> Iterator[_Entry]:
    written: set[str] = set()
    for image, stack in zip(images, layers, strict=True):
        time = parse_unix(image.config.created_text) or 0
        for layer in stack:
            if layer.id in written:
                continue
            written.add(layer.id)
            yield _directory(layer.id, time)
            yield _file(f"{layer.id}/VERSION", VERSION, time)
            yield _file(f"{layer.id}/json", layer.json, time)
            header = header_bytes(
                f"{layer.id}/layer.tar",
                type=EntryType.SYMLINK,
                mode=0o777,
                mtime_ns=time,
                link=f"../{oci_layout.blob_path(layer.blob.digest)}",
            )
            yield _Entry(header, b"", 0)


def _file(path: str, content: bytes, time: int = 0) -> _Entry:
    return _Entry(header_bytes(path, size=len(content), mtime_ns=time), content, len(content))


def _directory(path: str, time: int) -> _Entry:
    header = header_bytes(path, type=EntryType.DIRECTORY, mode=0o755, mtime_ns=time)
    return _Entry(header, b"", 0)


def _size(content: bytes | int) -> int:
    return len(content) if isinstance(content, bytes) else content
