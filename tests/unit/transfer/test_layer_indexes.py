"""Indexes of layers: made when they are needed, kept, and made anew where they are no good."""

import contextlib
import gzip
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.content.local import LocalStore
from lamina.errors import BlobNotFound
from lamina.oci import mediatype
from lamina.oci.digest import Digest
from lamina.records.catalogue import Layer, LayerBlob
from lamina.transfer.layer_indexes import LayerIndexes
from tests.real.images import directory, file, layer, whiteout

TAR = layer(directory("d"), file("d/f", "1"), whiteout("gone"))
DIFF_ID = Digest.of(TAR)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "content")


async def stored(store: LocalStore, media_type: str, raw: bytes) -> Layer:
    async with store.ingest() as writer:
        await writer.write(raw)
        digest = await writer.finish()
        await writer.commit()
    return Layer(DIFF_ID, 1, len(TAR), (LayerBlob(digest, media_type, len(raw)),))


@pytest.mark.parametrize("compressed", [False, True])
async def test_made_once_and_kept(tmp_path: Path, store: LocalStore, *, compressed: bool) -> None:
    raw = gzip.compress(TAR) if compressed else TAR
    media_type = mediatype.OCI_LAYER_GZIP if compressed else mediatype.OCI_LAYER
    one = await stored(store, media_type, raw)
    [index] = await LayerIndexes(tmp_path / "indexes", store).of([one])
    assert [entry.path for entry in index] == ["d", "d/f"]
    assert index.whiteouts == {"gone"}
    await store.delete(one.blobs[0].digest)
    again = await LayerIndexes(tmp_path / "indexes", store).get(one)
    assert again.entries == index.entries


async def test_torn_ones_are_made_anew(tmp_path: Path, store: LocalStore) -> None:
    one = await stored(store, mediatype.OCI_LAYER, TAR)
    index = await LayerIndexes(tmp_path / "indexes", store).get(one)
    path = tmp_path / "indexes" / DIFF_ID.hex
    whole = path.read_bytes()
    path.write_bytes(whole[:40])
    again = await LayerIndexes(tmp_path / "indexes", store).get(one)
    assert again.entries == index.entries
    assert path.read_bytes() == whole


@contextlib.contextmanager
def no_room_for_files_of(size: int) -> Iterator[None]:
    """The kernel refuses to write more than `size` bytes to a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_without_room_they_are_given_and_nothing_is_left(
    tmp_path: Path, store: LocalStore
) -> None:
    one = await stored(store, mediatype.OCI_LAYER, TAR)
    with no_room_for_files_of(16):
        index = await LayerIndexes(tmp_path / "indexes", store).get(one)
    assert [entry.path for entry in index] == ["d", "d/f"]
    assert list((tmp_path / "indexes").iterdir()) == []


async def test_forgotten_with_their_layers(tmp_path: Path, store: LocalStore) -> None:
    one = await stored(store, mediatype.OCI_LAYER, TAR)
    indexes = LayerIndexes(tmp_path / "indexes", store)
    await indexes.get(one)
    others, left = tmp_path / "indexes" / ".others", tmp_path / "indexes" / ".left"
    others.write_bytes(b"")
    left.write_bytes(b"")
    os.utime(left, (1, 1))
    await indexes.forget({DIFF_ID})
    assert {path.name for path in (tmp_path / "indexes").iterdir()} == {DIFF_ID.hex, ".others"}
    await indexes.forget(())
    assert [path.name for path in (tmp_path / "indexes").iterdir()] == [".others"]


async def test_without_the_layer(tmp_path: Path, store: LocalStore) -> None:
    one = await stored(store, mediatype.OCI_LAYER, TAR)
    await store.delete(one.blobs[0].digest)
    with pytest.raises(BlobNotFound):
        await LayerIndexes(tmp_path / "indexes", store).get(one)
