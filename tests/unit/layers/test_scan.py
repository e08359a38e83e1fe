import bz2
import gzip
import hashlib
import lzma
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from backports import zstd

from lamina.errors import InvalidLayer
from lamina.layers.compression import Compression
from lamina.layers.scan import LayerScan, ScannedLayer
from lamina.oci.digest import Digest
from tests.unit.layers.archives import DIRECTORY, FILE, LINK, SYMLINK, archive, cut

RAW = archive(
    [
        ("d", DIRECTORY, b""),
        ("d/a", FILE, b"x" * 1000),
        ("d/b", LINK, "d/a"),
        ("s", SYMLINK, "d/a"),
    ]
)


def scanned(blob: bytes, size: int = 1 << 20) -> ScannedLayer:
    scan = LayerScan()
    for part in cut(blob, size):
        scan.feed(part)
    return scan.finish()


@pytest.mark.parametrize("size", [1, 7, 10, 11, 1000, 1 << 20])
@pytest.mark.parametrize(
    ("compression", "write"),
    [
        (Compression.PLAIN, bytes),
        (Compression.GZIP, gzip.compress),
        (Compression.ZSTD, zstd.compress),
        (Compression.BZIP2, bz2.compress),
        (Compression.XZ, lzma.compress),
    ],
)
def test_finds_the_same_whatever_the_compression(
    compression: Compression, write: Callable[[bytes], bytes], size: int
) -> None:
    assert scanned(write(RAW), size) == ScannedLayer(
        diff_id=Digest.parse("sha256:" + hashlib.sha256(RAW).hexdigest()),
        size=len(RAW),
        unpacked_size=1000 + 3,
        entries=4,
        compression=compression,
    )


@pytest.mark.parametrize("raw", [b"", bytes(1024), b"\0"])
def test_empty_layers(raw: bytes) -> None:
    if len(raw) == 1:
        with pytest.raises(InvalidLayer, match="unexpected EOF"):
            scanned(raw)
        return
    found = scanned(raw)
    assert (found.diff_id, found.entries, found.unpacked_size) == (Digest.of(raw), 0, 0)


def test_the_digest_covers_what_follows_the_archive() -> None:
    raw = RAW + b"trailing"
    assert scanned(raw).diff_id == Digest.of(raw)
    assert scanned(raw).size == len(raw)


def test_compression_is_known_as_soon_as_possible() -> None:
    scan = LayerScan()
    blob = gzip.compress(RAW)
    scan.feed(blob[:9])
    assert scan.compression is None
    scan.feed(blob[9:10])
    assert scan.compression is Compression.GZIP


def test_a_plain_blob_that_the_caller_hashes_is_not_hashed_again() -> None:
    digest = Digest.of(b"the caller's word is taken")
    scan = LayerScan(hash_plain=False)
    scan.feed(RAW)
    with pytest.raises(ValueError, match="digest of a plain blob"):
        scan.finish()
    assert scan.finish(blob_digest=digest).diff_id == digest


def test_a_compressed_blob_is_hashed_in_any_case() -> None:
    scan = LayerScan(hash_plain=False)
    blob = gzip.compress(RAW)
    scan.feed(blob)
    assert scan.finish(blob_digest=Digest.of(blob)).diff_id == Digest.of(RAW)


@pytest.mark.parametrize("write", [bytes, gzip.compress])
def test_the_stream_is_limited(write: Callable[[bytes], bytes]) -> None:
    blob = write(RAW)
    scan = LayerScan(limit=len(RAW) - 1)
    with pytest.raises(InvalidLayer, match="larger than"):
        scan.feed(blob)


# The words are those of dockerd 20.10's `docker import` of the same bytes.
@pytest.mark.parametrize(
    ("blob", "words"),
    [
        (RAW[:1800], "Error processing tar file(exit status 1): unexpected EOF"),
        (b"g" * 3000, "Error processing tar file(exit status 1): archive/tar: invalid tar header"),
        (gzip.compress(RAW)[:-10], "Error processing tar file(unexpected EOF): "),
        (gzip.compress(RAW) + bytes(100), "Error processing tar file(gzip: invalid header): "),
        (
            gzip.compress(RAW)[:-8] + bytes(8),
            "Error processing tar file(gzip: invalid checksum): ",
        ),
        (
            archive([("b", LINK, "zz")]),
            "Error processing tar file(exit status 1): link /zz /b: no such file or directory",
        ),
    ],
)
def test_errors_are_worded_as_a_dockerd_words_them(blob: bytes, words: str) -> None:
    with pytest.raises(InvalidLayer) as caught:
        scanned(blob)
    assert str(caught.value) == words


@pytest.mark.parametrize("piece", [1, 4096, 1 << 20])
def test_hashing_in_another_thread_gives_the_same(piece: int) -> None:
    large = [(f"file{number}", FILE, bytes([number]) * 300_000) for number in range(12)]
    blob = gzip.compress(archive(large) if piece > 1 else RAW)
    with ThreadPoolExecutor(1) as hashing:
        scans = LayerScan(), LayerScan(hashing=hashing)
        for scan in scans:
            for start in range(0, len(blob), piece):
                scan.feed(blob[start : start + piece])
        alone, together = (scan.finish() for scan in scans)
    assert together == alone
