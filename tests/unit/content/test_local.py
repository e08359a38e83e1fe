import asyncio
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lamina.content.blobs import BlobFiles
from lamina.content.local import LocalStore
from lamina.content.staging import NamedFile
from lamina.content.threads import Threads
from lamina.content.writer import FLUSH_SIZE, LocalWriter
from lamina.errors import BlobNotFound, CorruptData, DigestMismatch
from lamina.oci.digest import Digest
from tests.unit.content.conformance import MIB, BlobStoreSuite, content, everything, put


class TestUnnamedIngests(BlobStoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> LocalStore:
        return LocalStore(tmp_path / "content")


class TestNamedIngests(BlobStoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> LocalStore:
        return LocalStore(tmp_path / "content", unnamed=False)


@pytest.fixture(params=[True, False], ids=["unnamed", "named"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path, unnamed=request.param)


def blob_path(root: Path, digest: Digest) -> Path:
    return root / "blobs" / digest.algorithm / digest.hex


def names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_layout(store: LocalStore, tmp_path: Path) -> None:
    info = await put(store, b"hello")
    assert blob_path(tmp_path, info.digest).read_bytes() == b"hello"
    assert blob_path(tmp_path, info.digest).stat().st_mode & 0o077 == 0
    assert names_in(tmp_path / "ingest") == []
    async with store.open(info.digest) as reader:
        assert reader.local_path == blob_path(tmp_path, info.digest)
        assert os.pread(reader.fileno(), 10, 0) == b"hello"
    expected = Digest.of(b"12")
    async with store.ingest("key", expected=expected) as writer:
        await writer.write(b"1")
    assert (tmp_path / "ingest" / "key" / "data").read_bytes() == b"1"
    assert (tmp_path / "ingest" / "key" / "ref").read_text() == str(expected)
    async with store.ingest("key", expected=expected) as writer:
        await writer.write(b"2")
        await writer.commit()
    assert names_in(tmp_path / "ingest") == []


async def test_why_an_ingest_is_left_is_told_on_a_full_disk_too(store: LocalStore) -> None:
    async def leave() -> None:
        async with store.ingest("key") as writer:
            await writer.write(b"12345")
            raise KeyError

    with file_size_limit(3), pytest.raises(KeyError):
        await leave()
    async with store.ingest("key") as writer:
        assert writer.offset == 3


async def test_what_the_disk_did_not_take_is_not_kept(tmp_path: Path) -> None:
    """A later attempt would read it from memory, and take it for kept."""
    directory = tmp_path / "key"
    directory.mkdir()
    (directory / "data").touch()
    threads = Threads()

    def stage() -> NamedFile:
        # What cannot be flushed.
        return NamedFile(directory, os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))

    writer = LocalWriter(
        stage=stage,
        blobs=BlobFiles(tmp_path),
        expected=None,
        size=None,
        keep=True,
        threads=threads,
    )
    await writer.begin()
    for _ in range(FLUSH_SIZE // MIB):
        await writer.write(bytes(MIB))
    await writer.close()
    assert not directory.exists()


async def test_an_empty_root_is_an_empty_store(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "not" / "made")
    assert await everything(store) == {}
    assert await store.sweep_ingests(0) == 0
    assert names_in(tmp_path) == []


async def test_unnamed_ingests_have_no_name(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    async with store.ingest() as writer:
        await writer.write(content(2 * MIB))
        assert names_in(tmp_path / "ingest") == []


async def test_descriptors_are_closed(store: LocalStore) -> None:
    await put(store, b"warm")
    before = len(names_in(Path("/proc/self/fd")))
    for n in range(3):
        data = content(2 * MIB, seed=n)
        info = await put(store, data)
        async with store.ingest() as writer:
            await writer.write(data)
        async with store.ingest("key", expected=Digest.of(b"x")) as writer:
            await writer.write(data)
            with pytest.raises(DigestMismatch):
                await writer.commit()
        async with store.open(info.digest) as reader:
            await reader.read(10)
        await store.read_bytes(info.digest)
    assert len(names_in(Path("/proc/self/fd"))) == before


async def test_walk_passes_over_what_is_no_blob(store: LocalStore, tmp_path: Path) -> None:
    info = await put(store, b"blob")
    for name in ("note.txt", "A" * 64, "0" * 63):
        (tmp_path / "blobs" / "sha256" / name).write_text("?")
    (tmp_path / "blobs" / "md5").mkdir()
    assert [found.digest async for found in store.walk()] == [info.digest]


async def test_a_damaged_blob_is_told(store: LocalStore, tmp_path: Path) -> None:
    small, large = await put(store, b"hello"), await put(store, content(MIB))
    blob_path(tmp_path, small.digest).write_bytes(b"jello")
    with pytest.raises(DigestMismatch):
        await store.read_bytes(small.digest)
    path = blob_path(tmp_path, large.digest)
    path.write_bytes(b"?" + path.read_bytes()[1:])
    with pytest.raises(DigestMismatch):
        await store.read_bytes(large.digest)
    async with store.open(large.digest) as reader:
        os.truncate(path, 1000)
        with pytest.raises(CorruptData):
            await reader.read_range(500, 1000)
        with pytest.raises(CorruptData):
            [chunk async for chunk in reader.chunks()]


async def test_a_truncated_blob_is_replaced(store: LocalStore, tmp_path: Path) -> None:
    for key in (None, "key"):
        info = await put(store, b"hello")
        os.truncate(blob_path(tmp_path, info.digest), 2)
        async with store.ingest(key) as writer:
            await writer.write(b"hello")
            assert await writer.commit() == await store.stat(info.digest)
        assert await store.read_bytes(info.digest) == b"hello"


async def test_a_blob_deleted_between_finish_and_commit_is_published(store: LocalStore) -> None:
    info = await put(store, b"hello")
    async with store.ingest() as writer:
        await writer.write(b"hello")
        await writer.finish()
        await store.delete(info.digest)
        await writer.commit()
    assert await store.read_bytes(info.digest) == b"hello"


async def test_ingesting_again_makes_a_blob_young(store: LocalStore, tmp_path: Path) -> None:
    info = await put(store, b"hello")
    os.utime(blob_path(tmp_path, info.digest), (1000, 1000))
    assert (await store.stat(info.digest)).modified == 1000
    began = time.time()
    assert (await put(store, b"hello")).modified > began - 60


async def test_an_ingest_the_disk_did_not_take_is_never_published(store: LocalStore) -> None:
    async with store.ingest() as writer:
        await writer.write(bytes(2 * MIB))
        with file_size_limit(2 * MIB), pytest.raises(OSError, match="too large"):
            await writer.write(bytes(MIB))
        with pytest.raises(OSError, match="too large"):
            await writer.write(b"x")
        with pytest.raises(OSError, match="too large"):
            await writer.commit()
    assert await everything(store) == {}


async def test_a_short_write_is_completed(store: LocalStore) -> None:
    # At the limit the kernel takes part of a write, and refuses the next.
    data = content(2 * MIB)
    async with store.ingest("key") as writer:
        with file_size_limit(MIB + 1000), pytest.raises(OSError, match="too large"):
            await writer.write(data)
    async with store.ingest("key", expected=Digest.of(data)) as writer:
        assert writer.offset == MIB + 1000
        await writer.write(data[writer.offset :])
        await writer.commit()


async def test_old_keyed_ingests_are_swept_by_age(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, clock=lambda: 10_000.0)
    for key, written in (("old", 6000), ("new", 9000)):
        async with store.ingest(key) as writer:
            await writer.write(b"x")
        os.utime(tmp_path / "ingest" / key / "data", (written, written))
    assert await store.sweep_ingests() == 0
    assert await store.sweep_ingests(3600) == 1
    assert names_in(tmp_path / "ingest") == ["new"]


async def test_a_sweep_clears_what_a_crash_left_half_done(
    store: LocalStore, tmp_path: Path
) -> None:
    await put(store, b"hello")
    (tmp_path / "ingest" / "empty").mkdir()
    (tmp_path / "ingest" / "only-ref").mkdir()
    (tmp_path / "ingest" / "only-ref" / "ref").write_text("sha256:?")
    (tmp_path / "ingest" / ".anonymous-1").mkdir()
    assert await store.sweep_ingests() == 1
    assert await store.sweep_ingests(0) == 2
    assert names_in(tmp_path / "ingest") == []


async def test_sweeps_and_writers_do_not_harm_each_other(store: LocalStore) -> None:
    done = asyncio.Event()

    async def sweep() -> None:
        while not done.is_set():
            await store.sweep_ingests()

    async def write(seed: int) -> set[Digest]:
        return {(await put(store, content(50, seed=100 * seed + n))).digest for n in range(40)}

    async with asyncio.TaskGroup() as group:
        group.create_task(sweep())
        group.create_task(sweep())
        written = await asyncio.gather(*(write(seed) for seed in range(4)))
        done.set()
    assert set(await everything(store)) == set().union(*written)


async def test_a_symlink_in_the_place_of_a_blob_is_not_followed(
    store: LocalStore, tmp_path: Path
) -> None:
    info = await put(store, b"hello")
    path = blob_path(tmp_path, info.digest)
    path.unlink()
    path.symlink_to("/etc/hostname")
    with pytest.raises(OSError, match="symbolic"):
        await store.read_bytes(info.digest)
    path.unlink()
    with pytest.raises(BlobNotFound):
        await store.stat(info.digest)
