"""Records on a root, and images made up for them: nothing here has real layers."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lamina.content.local import LocalStore
from lamina.oci.digest import Digest
from lamina.oci.platform import Platform
from lamina.oci.rootfs import chain_ids
from lamina.records.catalogue import Image, Layer, LayerBlob
from lamina.records.containers import Container
from lamina.records.records import Records

LOGGER = logging.getLogger("test")


@asynccontextmanager
async def records_in(root: Path) -> AsyncIterator[Records]:
    root.mkdir(exist_ok=True)  # noqa: ASYNC240 - takes microseconds
    async with Records.open(root, LocalStore(root / "content"), logger=LOGGER) as records:
        yield records


async def put_blob(root: Path, data: bytes) -> Digest:
    async with LocalStore(root / "content").ingest() as writer:
        await writer.write(data)
        return (await writer.commit()).digest


def digest(name: str) -> Digest:
    return Digest.of(name.encode())


def make_layer(name: str, *blobs: str, size: int = 1) -> Layer:
    diff_id = digest(name)
    names = blobs or (name,)
    held = tuple(sorted((LayerBlob(digest(blob), "", 1) for blob in names), key=lambda b: b.digest))
    return Layer(diff_id, size, size, held)


def make_image(name: str, *layers: Layer, parent: str | None = None) -> Image:
    diff_ids = tuple(layer.diff_id for layer in layers)
    return Image(
        id=digest(name),
        parent=None if parent is None else digest(parent),
        created=None,
        size=sum(layer.size for layer in layers),
        platform=Platform("linux", "amd64"),
        labels=None,
        last_tagged=None,
        locally_built=False,
        diff_ids=diff_ids,
        chain_ids=chain_ids(diff_ids),
    )


def make_container(number: int, status: str = "exited", *, image: Image | None = None) -> Container:
    return Container(
        id=f"{number:064x}",
        name=f"container-{number}",
        image_id=image.id if image else digest("image"),
        created=number,
        status=status,
        process="",
        snapshot=f"key-{number}",
        diff_ids=image.diff_ids if image else (),
        labels={"a": "b"},
        settings="{}",
        state="{}",
    )
