import bz2
import gzip
import hashlib
import io
import lzma
import tarfile
import time
import zlib
from collections.abc import Callable

import pytest
from backports import zstd

from lamina.errors import InvalidArchive, InvalidLayer
from lamina.layers.compression import PIECE, Compression, Compressor, Decompressor, detect
from tests.unit.layers.archives import FILE, archive, cut


def noise(size: int, seed: str = "") -> bytes:
    """Give bytes that do not compress, the same ones every time."""
    return hashlib.shake_128(seed.encode()).digest(size)


CONTENT = noise(300_000) + bytes(1_000_000)

WRITERS: dict[Compression, Callable[[bytes], bytes]] = {
    Compression.GZIP: gzip.compress,
    Compression.ZSTD: zstd.compress,
    Compression.BZIP2: bz2.compress,
    Compression.XZ: lzma.compress,
    Compression.PLAIN: bytes,
}
SKIPPABLE = b"\x5a\x2a\x4d\x18\x05\0\0\0hello"

every = pytest.mark.parametrize("kind", list(Compression))
compressed = pytest.mark.parametrize("kind", [kind for kind in Compression if kind.value])


def decompressed(kind: Compression, raw: bytes, size: int = 1 << 16, limit: int = 1 << 40) -> bytes:
    decompressor = Decompressor(kind, limit=limit)
    pieces = [bytes(piece) for part in cut(raw, size) for piece in decompressor.feed(part)]
    decompressor.close()
    assert decompressor.size == sum(map(len, pieces))
    return b"".join(pieces)


@every
def test_detects_every_format(kind: Compression) -> None:
    assert detect(WRITERS[kind](CONTENT)[:10]) is kind


@pytest.mark.parametrize("prefix", [b"", b"\x1f\x8b", b"BZh", b"BZh9-is-a-file", b"\0" * 10])
def test_what_is_no_format_is_plain(prefix: bytes) -> None:
    assert detect(prefix) is Compression.PLAIN


def test_a_tar_whose_first_name_looks_like_bzip2_is_plain() -> None:
    raw = archive([("BZh91/readme", FILE, b"x")])
    assert detect(raw[:10]) is Compression.PLAIN


def test_a_skippable_frame_is_zstd() -> None:
    assert detect(SKIPPABLE) is Compression.ZSTD


def test_an_empty_bzip2_is_bzip2() -> None:
    assert detect(bz2.compress(b"")) is Compression.BZIP2


@every
@pytest.mark.parametrize("size", [7919, 1 << 30])
def test_gives_the_content(kind: Compression, size: int) -> None:
    assert decompressed(kind, WRITERS[kind](CONTENT), size) == CONTENT


@compressed
def test_byte_by_byte(kind: Compression) -> None:
    assert decompressed(kind, WRITERS[kind](b"some content"), 1) == b"some content"


@compressed
@pytest.mark.parametrize("size", [5, 1 << 30])
def test_streams_one_behind_the_other(kind: Compression, size: int) -> None:
    writer = WRITERS[kind]
    raw = writer(b"one") + writer(b"") + writer(b"two" * 100)
    assert decompressed(kind, raw, size) == b"one" + b"two" * 100


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_many_empty_streams_are_no_more_work_at_once(compress: Callable[[bytes], bytes]) -> None:
    empty = compress(b"")
    raw = empty * ((1 << 20) // len(empty))
    kind = detect(raw[:10])

    def seconds(pieces: list[bytes]) -> float:
        decompressor = Decompressor(kind, limit=1)
        begun = time.thread_time()
        for piece in pieces:
            assert list(decompressor.feed(piece)) == []
        return time.thread_time() - begun

    assert seconds([raw]) < 3 * seconds(cut(raw, 32 << 10))


def test_zstd_skips_skippable_frames() -> None:
    frame = zstd.compress
    raw = SKIPPABLE + frame(b"one") + SKIPPABLE + frame(b"two") + SKIPPABLE
    assert decompressed(Compression.ZSTD, raw) == b"onetwo"


@pytest.mark.parametrize("size", [3, 1 << 30])
def test_xz_allows_zeros_behind_a_stream(size: int) -> None:
    raw = lzma.compress(b"one") + bytes(8) + lzma.compress(b"two") + bytes(4)
    assert decompressed(Compression.XZ, raw, size) == b"onetwo"


@compressed
def test_pieces_are_bounded_however_much_comes_out(kind: Compression) -> None:
    decompressor = Decompressor(kind, limit=1 << 40)
    sizes = [len(piece) for piece in decompressor.feed(WRITERS[kind](bytes(3_000_000)))]
    assert sum(sizes) == 3_000_000
    assert max(sizes) <= PIECE


@compressed
def test_a_bomb_stops_at_the_limit(kind: Compression) -> None:
    decompressor = Decompressor(kind, limit=1_000_000)
    pieces: list[int] = []
    bomb = WRITERS[kind](bytes(8_000_000))
    with pytest.raises(InvalidLayer, match="larger than 1000000 bytes"):
        pieces.extend(len(piece) for piece in decompressor.feed(bomb))
    assert sum(pieces) <= 1_000_000


@every
def test_content_of_just_the_limit_is_taken(kind: Compression) -> None:
    assert len(decompressed(kind, WRITERS[kind](CONTENT), limit=len(CONTENT))) == len(CONTENT)


def test_plain_content_is_limited_too() -> None:
    with pytest.raises(InvalidLayer, match="larger than 10 bytes"):
        decompressed(Compression.PLAIN, bytes(11), limit=10)


@compressed
@pytest.mark.parametrize("missing", [1, 5, 20])
def test_a_truncated_stream_is_refused(kind: Compression, missing: int) -> None:
    with pytest.raises(InvalidLayer, match="unexpected EOF"):
        decompressed(kind, WRITERS[kind](CONTENT)[:-missing])


@compressed
def test_no_stream_at_all_is_refused(kind: Compression) -> None:
    with pytest.raises(InvalidLayer, match="unexpected EOF"):
        decompressed(kind, b"")


@compressed
def test_garbage_behind_the_stream_is_refused(kind: Compression) -> None:
    with pytest.raises(InvalidLayer):
        decompressed(kind, WRITERS[kind](CONTENT) + b"garbage" * 100)


@compressed
def test_damage_is_refused(kind: Compression) -> None:
    content = noise(100_000)
    raw = bytearray(
        zstd.compress(content, options={zstd.CompressionParameter.checksum_flag: 1})
        if kind is Compression.ZSTD
        else WRITERS[kind](content)
    )
    raw[len(raw) // 2] ^= 0x10
    with pytest.raises(InvalidLayer):
        decompressed(kind, bytes(raw))


def test_gzip_errors_are_worded_as_go_words_them() -> None:
    raw = gzip.compress(CONTENT)
    for broken, words in [
        (raw[:-8] + bytes(4) + raw[-4:], "gzip: invalid checksum"),
        (raw + bytes(100), "gzip: invalid header"),
    ]:
        with pytest.raises(InvalidLayer) as caught:
            decompressed(Compression.GZIP, broken)
        assert str(caught.value) == words


def test_the_caller_chooses_the_error() -> None:
    decompressor = Decompressor(Compression.GZIP, limit=1, error=InvalidArchive)
    with pytest.raises(InvalidArchive):
        decompressor.close()


@pytest.mark.parametrize(
    ("kind", "reader"),
    [(Compression.GZIP, gzip.decompress), (Compression.ZSTD, zstd.decompress)],
)
@pytest.mark.parametrize("size", [1, 999, 1 << 21])
def test_what_is_compressed_depends_on_the_content_only(
    kind: Compression, reader: Callable[[bytes], bytes], size: int
) -> None:
    content = noise(500) * (20 if size == 1 else 6000)
    whole, parts = Compressor(kind), Compressor(kind)
    expected = whole.compress(content) + whole.finish()
    got = b"".join([parts.compress(part) for part in cut(content, size)] + [parts.finish()])
    assert got == expected
    assert reader(got) == content
    assert len(got) < len(content) // 2


@pytest.mark.parametrize("kind", [Compression.GZIP, Compression.ZSTD])
def test_nothing_compresses_to_a_valid_stream(kind: Compression) -> None:
    assert decompressed(kind, Compressor(kind).finish()) == b""


def test_gzip_header_has_neither_time_nor_name() -> None:
    raw = Compressor(Compression.GZIP, level=1).finish()
    assert raw[3:8] == bytes(5)


def test_gzip_of_this_library_is_read_by_others() -> None:
    compressor = Compressor(Compression.GZIP)
    raw = archive([("a", FILE, CONTENT)])
    with tarfile.open(fileobj=io.BytesIO(compressor.compress(raw) + compressor.finish())) as tar:
        assert tar.getnames() == ["a"]


@pytest.mark.parametrize("kind", [Compression.PLAIN, Compression.BZIP2, Compression.XZ])
def test_other_formats_are_not_written(kind: Compression) -> None:
    with pytest.raises(ValueError, match=kind.name):
        Compressor(kind)


def test_a_flush_of_the_sender_does_not_end_the_stream() -> None:
    encoder = zlib.compressobj(wbits=31)
    raw = encoder.compress(b"one") + encoder.flush(zlib.Z_FULL_FLUSH)
    raw += encoder.compress(b"two") + encoder.flush()
    assert decompressed(Compression.GZIP, raw, 3) == b"onetwo"
