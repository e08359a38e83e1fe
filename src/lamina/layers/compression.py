"""Compressed streams: what they are, and their incremental (de)compression.

Formats: gzip (RFC 1952), zstd (RFC 8878), bzip2 and xz; each may be several streams one behind the
other, as ``docker``, ``pigz`` and chunked zstd layers write them. Everything is synchronous and
meant for worker threads: the C libraries release the interpreter's lock.
"""

import bz2
import lzma
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final, Protocol, assert_never, cast

from backports import zstd
from isal import igzip_lib, isal_zlib

from lamina.errors import InvalidLayer, LaminaError

__all__ = ["PREFIX_SIZE", "Compression", "Compressor", "Decompressor", "detect"]

PREFIX_SIZE: Final = 10
"""As many bytes `detect` needs at most."""

PIECE: Final = 256 << 10
"""Upper bound of the pieces that a `Decompressor` gives; they still fit a processor's cache."""

_FED_AT_ONCE: Final = 64 << 10
"""Bytes that a library is given: it copies what is left of them at the end of each stream, and
there may be one every nine bytes."""

# bz2 has no exception of its own but OSError; isal's stubs take its exception for an instance.
_BROKEN: Final = (
    cast("type[Exception]", igzip_lib.IsalError),
    zstd.ZstdError,
    lzma.LZMAError,
    OSError,
)

_XZ_MEMORY: Final = 128 << 20  # `xz -9` needs 65 MiB to decompress


class Compression(StrEnum):
    """How a blob is compressed; the value is the suffix media types use, where they have one."""

    PLAIN = ""
    GZIP = "gzip"
    ZSTD = "zstd"
    BZIP2 = "bzip2"
    XZ = "xz"


def detect(prefix: bytes) -> Compression:
    """Tell the compression of a stream from its first `PREFIX_SIZE` bytes, or fewer if it has less.

    What is none of the known formats is PLAIN.
    """
    if prefix.startswith(b"\x1f\x8b\x08"):
        return Compression.GZIP
    if prefix.startswith(b"\x28\xb5\x2f\xfd") or (
        # A skippable frame, which seekable and chunked writers may put first.
        prefix[1:4] == b"\x2a\x4d\x18" and prefix[0] & 0xF0 == 0x50
    ):
        return Compression.ZSTD
    # "BZh9" alone might begin a file name in a tar: the magic of a block or of the end must follow.
    if prefix.startswith(b"BZh") and prefix[4:10] in {b"1AY&SY", b"\x17\x72\x45\x38\x50\x90"}:
        return Compression.BZIP2
    if prefix.startswith(b"\xfd7zXZ\0"):
        return Compression.XZ
    return Compression.PLAIN


class _Codec(Protocol):
    """What the incremental decompressors of all four libraries have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes | memoryview, max_length: int) -> bytes: ...


def _codec(kind: Compression) -> _Codec:
    match kind:
        case Compression.GZIP:
            return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        case Compression.ZSTD:
            return zstd.ZstdDecompressor()
        case Compression.BZIP2:
            return bz2.BZ2Decompressor()
        case Compression.XZ:
            return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
        case Compression.PLAIN:
            raise ValueError("a plain stream has no codec")
        case _:
            assert_never(kind)


class Decompressor:
    """Turns a compressed stream, pushed in pieces of any size, into bounded pieces of its content.

    `limit` bounds the content in bytes: more raises, so that a bomb costs no more than that.
    `error` makes the exception out of the words that say what is wrong.
    """

    def __init__(
        self,
        kind: Compression,
        *,
        limit: int,
        error: Callable[[str], LaminaError] = InvalidLayer,
    ) -> None:
        self.kind: Final = kind
        self.size = 0
        """Bytes of content given so far."""
        self._limit = limit
        self._error = error
        self._codec: _Codec | None = None
        self._members = 0

    def feed(self, data: bytes | memoryview) -> Iterator[bytes | memoryview]:
        """Give what `data` decompresses to, in pieces of at most `PIECE` bytes.

        The iterator must be exhausted before the next call. A plain stream's piece is `data`
        itself. Raises the error for a broken stream and for content over the limit.
        """
        if self.kind is Compression.PLAIN:
            yield self._counted(data)
            return
        view = memoryview(data)
        for at in range(0, len(view), _FED_AT_ONCE):
            yield from self._fed(view[at : at + _FED_AT_ONCE])

    def _fed(self, data: bytes | memoryview) -> Iterator[bytes]:
        while len(data):
            if self._codec is None:
                data = self._padding_skipped(data)
                if not len(data):
                    return
                self._codec = _codec(self.kind)
            codec = self._codec
            piece = self._decompressed(codec, data)
            while True:
                if piece:
                    self._counted(piece)
                    yield piece
                if codec.eof or codec.needs_input:
                    break
                piece = self._decompressed(codec, b"")
            if not codec.eof:
                return
            # Another gzip member, zstd frame, … may follow.
            data = codec.unused_data
            self._codec = None
            self._members += 1

    def close(self) -> None:
        """Say that no more data comes. Raises the error if the stream is not complete."""
        if self.kind is not Compression.PLAIN and (self._codec is not None or not self._members):
            raise self._error("unexpected EOF")

    def _counted(self, piece: bytes | memoryview) -> bytes | memoryview:
        self.size += len(piece)
        if self.size > self._limit:
            raise self._error(f"content is larger than {self._limit} bytes")
        return piece

    def _decompressed(self, codec: _Codec, data: bytes | memoryview) -> bytes:
        try:
            return codec.decompress(data, PIECE)
        except _BROKEN as broken:
            raise self._error(self._words(broken)) from broken

    def _words(self, broken: Exception) -> str:
        """Say what is wrong: for gzip as Go's reader does, else as the library does."""
        if self.kind is not Compression.GZIP:
            return f"{self.kind}: {broken}"
        if "checksum" in str(broken):
            return "gzip: invalid checksum"
        if "wrapper" in str(broken):
            return "gzip: invalid header"
        return f"flate: corrupt input ({broken})"

    def _padding_skipped(self, data: bytes | memoryview) -> bytes | memoryview:
        """Skip the zero bytes that xz allows behind a stream; other formats allow none."""
        if self.kind is Compression.XZ and self._members:
            return bytes(data).lstrip(b"\0")
        return data


class _Encoder(Protocol):
    def compress(self, data: bytes | memoryview, /) -> bytes: ...
    def flush(self) -> bytes: ...


class Compressor:
    """Compresses a stream to gzip or zstd; the same content always gives the same bytes.

    No name or time goes into the header. The library's output depends on how its input is cut, so
    the stream is cut anew, every `BLOCK` bytes. It also depends on the library's version and the
    processor: who needs the bytes again must keep them.
    """

    BLOCK: Final = 1 << 20

    def __init__(self, kind: Compression, *, level: int | None = None) -> None:
        """Take the default of the library as the level. Raises ValueError for other formats."""
        self._encoder: _Encoder
        if kind is Compression.GZIP:
            self._encoder = isal_zlib.compressobj(2 if level is None else level, wbits=31)
        elif kind is Compression.ZSTD:
            self._encoder = zstd.ZstdCompressor(level=3 if level is None else level)
        else:
            raise ValueError(f"cannot compress to {kind.name}")
        self._pending = bytearray()

    def compress(self, data: bytes | memoryview) -> bytes:
        """Take content and return what is ready of the compressed stream, often nothing."""
        view = memoryview(data)
        pieces: list[bytes] = []
        if self._pending:
            missing = self.BLOCK - len(self._pending)
            self._pending += view[:missing]
            view = view[missing:]
            if len(self._pending) < self.BLOCK:
                return b""
            pieces.append(self._encoder.compress(bytes(self._pending)))
            self._pending.clear()
        whole = len(view) - len(view) % self.BLOCK
        pieces += [
            self._encoder.compress(view[at : at + self.BLOCK]) for at in range(0, whole, self.BLOCK)
        ]
        self._pending += view[whole:]
        return b"".join(pieces)

    def finish(self) -> bytes:
        """Return the rest of the compressed stream."""
        rest = self._encoder.compress(bytes(self._pending)) if self._pending else b""
        self._pending.clear()
        return rest + self._encoder.flush()
