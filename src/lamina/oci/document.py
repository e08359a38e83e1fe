"""What manifests, indexes and configurations have in common: their bytes are their name."""

from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

import msgspec

from lamina.oci import jsontext
from lamina.oci.digest import Digest

T = TypeVar("T")
D = TypeVar("D", bound="Document")


def always(make: Callable[[], T]) -> T:
    """A field whose default is `make()` and is written out even so: Go's without ``omitempty``."""
    default: T = msgspec.field(default_factory=make)
    return default


class Document(msgspec.Struct, frozen=True, dict=True, eq=False, omit_defaults=True):
    """A JSON document and the bytes it was read from, which alone decide its digest.

    One that was made here rather than read gets its bytes when they are first asked for. The fields
    are a view: what they do not show is in the bytes all the same.
    """

    @cached_property
    def raw(self) -> bytes:
        """The document as it was received, or as it is written if it was made here."""
        return jsontext.encode(self)

    @cached_property
    def digest(self) -> Digest:
        """The SHA-256 digest of `raw`."""
        return Digest.of(self.raw)

    @property
    def size(self) -> int:
        """The length of `raw` in bytes."""
        return len(self.raw)


def received_as(raw: bytes, document: D) -> D:
    """`document`, which was read from `raw`."""
    document.__dict__["raw"] = raw
    return document
