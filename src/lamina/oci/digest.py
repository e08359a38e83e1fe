"""Content digests: ``algorithm:hex`` (OCI image-spec, descriptor.md, "Digests")."""

import hashlib
import re
from functools import total_ordering
from typing import Protocol, Self

from lamina.errors import InvalidDigest

HEX_LENGTHS = {"sha256": 64, "sha512": 128}
"""The algorithms that are taken, and how many hexadecimal digits each gives."""

_GRAMMAR = re.compile(r"[a-z0-9]++(?:[.+_-][a-z0-9]++)*:[A-Za-z0-9=_-]+")
_HEX = re.compile(r"[0-9a-f]+")


class Hasher(Protocol):
    """A running hash, as `hashlib` makes them."""

    @property
    def name(self) -> str:
        """The algorithm."""
        ...

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take more data."""
        ...

    def hexdigest(self) -> str:
        """The hash of the data so far, in lower-case hexadecimal digits."""
        ...


@total_ordering
class Digest:
    """The name of content by its hash; immutable, hashable, ordered by its text.

    Made by `parse`, `of` and `from_hasher`, so that every instance is valid.
    """

    __slots__ = ("_text",)

    _text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``sha256:<64 hex>`` or ``sha512:<128 hex>``. Raises InvalidDigest."""
        if not is_digest(text):
            raise InvalidDigest(_complaint(text), text=text)
        return cls._of_valid(text)

    @classmethod
    def of(cls, data: bytes) -> Self:
        """The SHA-256 digest of `data`."""
        return cls._of_valid("sha256:" + hashlib.sha256(data).hexdigest())

    @classmethod
    def from_hasher(cls, hasher: Hasher) -> Self:
        """The digest of everything `hasher` (one of the algorithms in HEX_LENGTHS) has seen."""
        assert hasher.name in HEX_LENGTHS
        return cls._of_valid(f"{hasher.name}:{hasher.hexdigest()}")

    @classmethod
    def _of_valid(cls, text: str) -> Self:
        digest = object.__new__(cls)
        digest._text = text
        return digest

    def __init__(self) -> None:
        raise TypeError("make a Digest with Digest.parse, Digest.of or Digest.from_hasher")

    @property
    def algorithm(self) -> str:
        """``sha256`` or ``sha512``."""
        return self._text[:6]

    @property
    def hex(self) -> str:
        """The hash in lower-case hexadecimal digits."""
        return self._text[7:]

    @property
    def short(self) -> str:
        """The first 12 hexadecimal digits, as progress lines and ``docker images`` show them."""
        return self._text[7:19]

    def hasher(self) -> Hasher:
        """A fresh hash of this digest's algorithm, to verify content with."""
        return hashlib.new(self.algorithm, usedforsecurity=False)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Digest({self._text!r})"

    def __hash__(self) -> int:
        return hash(self._text)

    def __eq__(self, other: object) -> bool:
        return self._text == other._text if isinstance(other, Digest) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return self._text < other._text if isinstance(other, Digest) else NotImplemented

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Digest.parse, (self._text,))


def is_digest(text: str) -> bool:
    """Whether `Digest.parse` would take `text`."""
    algorithm, _, hex = text.partition(":")
    return len(hex) == HEX_LENGTHS.get(algorithm) and _HEX.fullmatch(hex) is not None


def _complaint(text: str) -> str:
    """What is wrong with `text`, in the words of the Go library that every engine uses."""
    algorithm, _, hex = text.partition(":")
    if not _GRAMMAR.fullmatch(text):
        return "invalid checksum digest format"
    if algorithm not in HEX_LENGTHS:
        return "unsupported digest algorithm"
    if len(hex) != HEX_LENGTHS[algorithm]:
        return "invalid checksum digest length"
    return "invalid checksum digest format"
