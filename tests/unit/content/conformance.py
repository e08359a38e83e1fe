"""What every blob store has to do: its tests subclass `BlobStoreSuite` and give it a `store`."""

import asyncio
import random

import pytest

from lamina.content.store import READ_LIMIT, BlobInfo, BlobReader, BlobStore
from lamina.errors import (
    BlobNotFound,
    Conflict,
    CorruptData,
    DigestMismatch,
    InvalidParameter,
    SizeMismatch,
)
from lamina.oci.digest import Digest

MIB = 1 << 20
SHA512_OF_HELLO = Digest.parse(
    "sha512:9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e"
    "14b8c5da0c4663475c2e5c3adef46f73bcdec043"
)
HOSTILE_KEYS = [
    "",
    ".",
    "..",
    "../blobs",
    "a/b",
    "/etc/passwd",
    ".hidden",
    "-option",
    "a\0b",
    "a\nb",
    "a\n",
    "ключ",
    "k" * 201,
]


def content(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


async def put(store: BlobStore, data: bytes) -> BlobInfo:
    async with store.ingest() as writer:
        await writer.write(data)
        return await writer.commit()


async def interrupted(store: BlobStore, key: str | None, error: Exception) -> None:
    async with store.ingest(key) as writer:
        await writer.write(b"hel")
        raise error


async def everything(store: BlobStore) -> dict[Digest, bytes]:
    """All blobs, read back; each must be what its name says."""
    found = {}
    async for info in store.walk():
        async with store.open(info.digest) as reader:
            data = b"".join([chunk async for chunk in reader.chunks()])
        assert Digest.of(data) == info.digest
        assert len(data) == info.size
        found[info.digest] = data
    return found


class BlobStoreSuite:
    """Subclasses define a fixture `store`: an empty store."""

    async def test_a_committed_blob_is_found_by_its_digest(self, store: BlobStore) -> None:
        data = content(3 * MIB + 17)
        info = await put(store, data)
        assert info.digest == Digest.of(data)
        assert info.size == len(data)
        assert await store.stat(info.digest) == info
        assert await everything(store) == {info.digest: data}

    async def test_an_empty_blob_is_a_blob(self, store: BlobStore) -> None:
        async with store.ingest(expected=Digest.of(b""), size=0) as writer:
            info = await writer.commit()
        assert info.size == 0
        assert await store.read_bytes(info.digest) == b""
        async with store.open(info.digest) as reader:
            assert [chunk async for chunk in reader.chunks()] == []
            assert await reader.read() == b""

    async def test_what_is_not_there_is_not_found(self, store: BlobStore) -> None:
        missing = Digest.of(b"missing")
        for attempt in (store.stat(missing), store.delete(missing), store.read_bytes(missing)):
            with pytest.raises(BlobNotFound) as caught:
                await attempt
            assert caught.value.digest == missing
        with pytest.raises(BlobNotFound):
            async with store.open(missing):
                pytest.fail("opened a blob that is not there")
        assert await everything(store) == {}

    async def test_nothing_is_visible_before_commit(self, store: BlobStore) -> None:
        data = content(2 * MIB)
        async with store.ingest() as writer:
            await writer.write(data)
            assert await writer.finish() == Digest.of(data)
            assert await everything(store) == {}
            with pytest.raises(BlobNotFound):
                await store.stat(Digest.of(data))
            await writer.commit()
            assert await everything(store) == {Digest.of(data): data}

    async def test_an_ingest_left_without_commit_is_gone(self, store: BlobStore) -> None:
        async with store.ingest() as writer:
            await writer.write(content(2 * MIB))
            await writer.finish()
        assert await everything(store) == {}
        with pytest.raises(ZeroDivisionError):
            await interrupted(store, None, ZeroDivisionError())
        assert await everything(store) == {}

    @pytest.mark.parametrize("piece", [1000, 65536, MIB, 5 * MIB])
    async def test_pieces_of_any_size_make_the_same_blob(
        self, store: BlobStore, piece: int
    ) -> None:
        data = content(6 * MIB + 5)
        async with store.ingest(expected=Digest.of(data), size=len(data)) as writer:
            for start in range(0, len(data), piece):
                assert writer.offset == start
                await writer.write(data[start : start + piece])
            assert writer.offset == len(data)
            await writer.commit()
        assert await everything(store) == {Digest.of(data): data}

    async def test_a_buffer_may_be_reused_after_write(self, store: BlobStore) -> None:
        data = content(4 * MIB)
        buffer = bytearray(300_000)
        async with store.ingest() as writer:
            for start in range(0, len(data), len(buffer)):
                piece = data[start : start + len(buffer)]
                buffer[: len(piece)] = piece
                await writer.write(memoryview(buffer)[: len(piece)])
            buffer[:] = bytes(len(buffer))
            assert (await writer.commit()).digest == Digest.of(data)
        assert await everything(store) == {Digest.of(data): data}

    async def test_views_count_in_bytes(self, store: BlobStore) -> None:
        data = content(4096)
        async with store.ingest(size=4096 + 2048) as writer:
            await writer.write(memoryview(data).cast("I"))
            await writer.write(memoryview(data)[::2])
            assert writer.offset == 4096 + 2048
            assert (await writer.commit()).digest == Digest.of(data + data[::2])

    async def test_a_thread_writes_with_the_synchronous_calls(self, store: BlobStore) -> None:
        data = content(5 * MIB)

        async with store.ingest(expected=Digest.of(data)) as writer:

            def work() -> Digest:
                for start in range(0, len(data), 100_000):
                    writer.write_sync(memoryview(data)[start : start + 100_000])
                return writer.finish_sync()

            assert await asyncio.to_thread(work) == Digest.of(data)
            await writer.commit()
        assert await everything(store) == {Digest.of(data): data}

    async def test_a_wrong_digest_is_refused(self, store: BlobStore) -> None:
        async with store.ingest(expected=Digest.of(b"this")) as writer:
            await writer.write(b"that")
            with pytest.raises(DigestMismatch) as caught:
                await writer.commit()
        assert caught.value.expected == Digest.of(b"this")
        assert caught.value.actual == Digest.of(b"that")
        assert await everything(store) == {}

    async def test_too_few_bytes_are_refused(self, store: BlobStore) -> None:
        async with store.ingest(size=5) as writer:
            await writer.write(b"four")
            with pytest.raises(SizeMismatch) as caught:
                await writer.finish()
            assert (caught.value.expected, caught.value.actual) == (5, 4)
            await writer.write(b"!")
            assert await writer.finish() == Digest.of(b"four!")

    async def test_too_many_bytes_are_refused_and_not_taken(self, store: BlobStore) -> None:
        async with store.ingest(size=5) as writer:
            await writer.write(b"four")
            with pytest.raises(SizeMismatch):
                await writer.write(b"teen")
            assert writer.offset == 4
            with pytest.raises(SizeMismatch):
                writer.write_sync(b"teen")
            await writer.write(b"!")
            assert (await writer.commit()).digest == Digest.of(b"four!")

    async def test_nothing_is_written_after_the_end(self, store: BlobStore) -> None:
        async with store.ingest() as writer:
            await writer.write(b"whole")
            await writer.finish()
            with pytest.raises(ValueError, match="finished"):
                await writer.write(b"more")
            await writer.commit()
            with pytest.raises(ValueError, match="finished"):
                await writer.write(b"more")
            with pytest.raises(ValueError, match="closed"):
                await writer.commit()
            await writer.discard()
        assert await everything(store) == {Digest.of(b"whole"): b"whole"}

    async def test_sha512_blobs_are_kept_by_sha512(self, store: BlobStore) -> None:
        async with store.ingest(expected=SHA512_OF_HELLO) as writer:
            await writer.write(b"hello")
            assert (await writer.commit()).digest == SHA512_OF_HELLO
        assert await store.read_bytes(SHA512_OF_HELLO) == b"hello"
        assert [info.digest async for info in store.walk()] == [SHA512_OF_HELLO]
        with pytest.raises(BlobNotFound):
            await store.stat(Digest.of(b"hello"))

    async def test_a_blob_already_there_is_success(self, store: BlobStore) -> None:
        first = await put(store, b"twice")
        async with store.open(first.digest) as reader:
            second = await put(store, b"twice")
            assert await reader.read() == b"twice"
        assert second.digest == first.digest
        assert second.modified >= first.modified
        assert await everything(store) == {first.digest: b"twice"}

    async def test_two_writers_of_one_blob_both_succeed(self, store: BlobStore) -> None:
        data = content(3 * MIB)
        everyone_has_written = asyncio.Barrier(4)

        async def write(key: str | None) -> Digest:
            async with store.ingest(key, expected=Digest.of(data)) as writer:
                for start in range(0, len(data), 200_000):
                    await writer.write(data[start : start + 200_000])
                await everyone_has_written.wait()
                return (await writer.commit()).digest

        digests = await asyncio.gather(*(write(key) for key in (None, "a", None, "b")))
        assert set(digests) == {Digest.of(data)}
        assert await everything(store) == {Digest.of(data): data}
        assert await store.sweep_ingests(0) == 0

    async def test_a_keyed_ingest_resumes(self, store: BlobStore) -> None:
        data = content(3 * MIB)
        for part in range(3):
            async with store.ingest("layer", expected=Digest.of(data), size=len(data)) as writer:
                assert writer.offset == part * MIB
                await writer.write(data[writer.offset : writer.offset + MIB])
                with pytest.raises(BlobNotFound):
                    await store.stat(Digest.of(data))
        async with store.ingest("layer", expected=Digest.of(data), size=len(data)) as writer:
            assert writer.offset == len(data)
            await writer.commit()
        assert await everything(store) == {Digest.of(data): data}
        async with store.ingest("layer") as writer:
            assert writer.offset == 0

    async def test_what_is_kept_is_shown_before_it_goes_on(self, store: BlobStore) -> None:
        data = content(3 * MIB)
        seen = bytearray()
        for _ in range(2):
            async with store.ingest("layer", expected=Digest.of(data), kept=seen.extend) as writer:
                assert len(seen) == writer.offset
                await writer.write(data[writer.offset : writer.offset + MIB + MIB // 2])
        assert seen == data[: MIB + MIB // 2]

    async def test_a_keyed_ingest_survives_an_error_and_little_bytes(
        self, store: BlobStore
    ) -> None:
        with pytest.raises(ConnectionResetError):
            await interrupted(store, "layer", ConnectionResetError())
        async with store.ingest("layer", expected=Digest.of(b"hello")) as writer:
            assert writer.offset == 3
            await writer.write(b"lo")
            await writer.commit()
        assert await everything(store) == {Digest.of(b"hello"): b"hello"}

    async def test_bytes_for_another_digest_are_not_continued(self, store: BlobStore) -> None:
        async with store.ingest("layer", expected=Digest.of(b"old")) as writer:
            await writer.write(b"ol")
        async with store.ingest("layer", expected=Digest.of(b"new")) as writer:
            assert writer.offset == 0
            await writer.write(b"n")
        async with store.ingest("layer", expected=Digest.of(b"new")) as writer:
            assert writer.offset == 1
            await writer.write(b"ew")
            await writer.commit()

    async def test_more_bytes_than_the_blob_has_are_not_continued(self, store: BlobStore) -> None:
        async with store.ingest("layer") as writer:
            await writer.write(b"too long")
        async with store.ingest("layer", size=3) as writer:
            assert writer.offset == 0

    async def test_a_key_with_wrong_bytes_begins_anew(self, store: BlobStore) -> None:
        async with store.ingest("layer", expected=Digest.of(b"this")) as writer:
            await writer.write(b"that")
            with pytest.raises(DigestMismatch):
                await writer.finish()
        async with store.ingest("layer", expected=Digest.of(b"this")) as writer:
            assert writer.offset == 0

    async def test_a_key_has_one_writer(self, store: BlobStore) -> None:
        async with store.ingest("layer") as writer:
            await writer.write(b"mine")
            with pytest.raises(Conflict):
                async with store.ingest("layer"):
                    pytest.fail("one key, two writers")
            async with store.ingest("layer-2") as other:
                assert other.offset == 0
            assert (await writer.commit()).digest == Digest.of(b"mine")

    async def test_a_discarded_key_begins_anew(self, store: BlobStore) -> None:
        async with store.ingest("layer") as writer:
            await writer.write(content(2 * MIB))
            await writer.discard()
            with pytest.raises(ValueError, match="closed"):
                await writer.commit()
        async with store.ingest("layer") as writer:
            assert writer.offset == 0

    @pytest.mark.parametrize("key", HOSTILE_KEYS)
    async def test_hostile_keys_are_refused(self, store: BlobStore, key: str) -> None:
        with pytest.raises(InvalidParameter):
            async with store.ingest(key):
                pytest.fail("took the key")

    @pytest.mark.parametrize("key", ["a", "sha256:" + "0" * 64, "A.b_c:d@e+f-1", "k" * 200])
    async def test_plain_keys_are_taken(self, store: BlobStore, key: str) -> None:
        async with store.ingest(key) as writer:
            await writer.write(b"x")
        async with store.ingest(key) as writer:
            assert writer.offset == 1

    async def test_a_sweep_spares_what_is_held_and_what_is_young(self, store: BlobStore) -> None:
        async with store.ingest("young") as writer:
            await writer.write(b"y")
        async with store.ingest("held") as held, store.ingest() as anonymous:
            await held.write(content(2 * MIB))
            await anonymous.write(content(2 * MIB, seed=1))
            assert await store.sweep_ingests() == 0
            assert await store.sweep_ingests(3600) == 0
            assert await store.sweep_ingests(0) == 1
            await held.commit()
            await anonymous.commit()
        assert len(await everything(store)) == 2
        async with store.ingest("young") as writer:
            assert writer.offset == 0

    async def test_a_cancelled_writer_leaves_its_key_free(self, store: BlobStore) -> None:
        data = content(64 * MIB)
        started = asyncio.Event()

        async def write() -> None:
            async with store.ingest("layer", expected=Digest.of(data)) as writer:
                while True:
                    await writer.write(data[writer.offset : writer.offset + MIB])
                    started.set()

        task = asyncio.create_task(write())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with store.ingest("layer", expected=Digest.of(data)) as writer:
            assert writer.offset >= MIB
            await writer.write(data[writer.offset :])
            await writer.commit()

    async def test_a_thread_left_behind_cannot_write_on(self, store: BlobStore) -> None:
        wrote = asyncio.Event()
        loop = asyncio.get_running_loop()
        async with store.ingest() as writer:

            def work() -> None:
                while True:
                    writer.write_sync(bytes(MIB))
                    loop.call_soon_threadsafe(wrote.set)

            thread = asyncio.create_task(asyncio.to_thread(work))
            await wrote.wait()
        with pytest.raises(ValueError, match=r"finished|closed"):
            await thread

    async def test_deleted_blobs_are_gone_but_for_who_reads_them(self, store: BlobStore) -> None:
        kept, deleted = await put(store, b"kept"), await put(store, b"deleted")
        async with store.open(deleted.digest) as reader:
            await store.delete(deleted.digest)
            assert await reader.read() == b"deleted"
        with pytest.raises(BlobNotFound):
            await store.delete(deleted.digest)
        assert await everything(store) == {kept.digest: b"kept"}
        assert (await put(store, b"deleted")).digest == deleted.digest

    async def test_walk_sees_every_blob_once(self, store: BlobStore) -> None:
        put_in = {(await put(store, str(n).encode())).digest for n in range(120)}
        seen = [info.digest async for info in store.walk()]
        assert len(seen) == 120
        assert set(seen) == put_in

    async def test_reading_bit_by_bit(self, store: BlobStore) -> None:
        data = content(MIB)
        info = await put(store, data)
        async with store.open(info.digest) as reader:
            assert (reader.digest, reader.size) == (info.digest, MIB)
            assert await reader.read(10) == data[:10]
            assert await reader.read(0) == b""
            assert await reader.read(1000) == data[10:1010]
            assert await reader.read() == data[1010:]
            assert await reader.read() == b""
            assert await reader.read(5) == b""

    @pytest.mark.parametrize(
        ("offset", "length"), [(0, 0), (0, 10), (999_990, 100), (500_000, 2_000_000), (1 << 40, 5)]
    )
    async def test_reading_ranges(self, store: BlobStore, offset: int, length: int) -> None:
        data = content(1_000_000)
        info = await put(store, data)
        async with store.open(info.digest) as reader:
            assert await reader.read_range(offset, length) == data[offset : offset + length]
            chunks = [chunk async for chunk in reader.chunks(offset, length, chunk_size=4096)]
        assert b"".join(chunks) == data[offset : offset + length]
        assert all(0 < len(chunk) <= 4096 for chunk in chunks)

    async def test_readers_of_one_blob_do_not_disturb_each_other(self, store: BlobStore) -> None:
        data = content(2 * MIB)
        info = await put(store, data)

        async def read(reader: BlobReader, chunk_size: int) -> bytes:
            return b"".join([chunk async for chunk in reader.chunks(chunk_size=chunk_size)])

        async with store.open(info.digest) as reader:
            results = await asyncio.gather(*(read(reader, 30_000 + n) for n in range(4)))
        assert results == [data] * 4

    async def test_chunks_may_be_left_early(self, store: BlobStore) -> None:
        info = await put(store, content(2 * MIB))
        async with store.open(info.digest) as reader:
            async for chunk in reader.chunks(chunk_size=1000):
                assert len(chunk) == 1000
                break
            assert len(await reader.read(10)) == 10

    async def test_no_call_hands_out_more_than_the_limit(self, store: BlobStore) -> None:
        info = await put(store, bytes(READ_LIMIT + 1))
        async with store.open(info.digest) as reader:
            with pytest.raises(CorruptData):
                await reader.read()
            assert len(await reader.read(READ_LIMIT + 1)) == READ_LIMIT
            assert len(await reader.read()) == 1
            for offset, length in ((0, READ_LIMIT + 1), (-1, 5), (0, -1)):
                with pytest.raises(ValueError, match="range"):
                    await reader.read_range(offset, length)
        with pytest.raises(CorruptData):
            await store.read_bytes(info.digest)
        with pytest.raises(CorruptData):
            await store.read_bytes((await put(store, b"12345")).digest, limit=4)
        assert await store.read_bytes(Digest.of(b"12345"), limit=5) == b"12345"
