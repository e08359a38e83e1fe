"""JSON from strangers, and JSON as Go writes it."""

from typing import Final, TypeVar

import msgspec

from lamina.errors import InvalidDigest, InvalidManifest
from lamina.oci.digest import Digest

T = TypeVar("T")

SIZE_LIMIT: Final = 8 << 20
"""No manifest, index or configuration may be larger (bytes); dockerd stops at the same order."""

_LENIENCY_LIMIT = 1 << 20
"""The lenient reading makes objects of everything in a document, so it stops at less."""

_GO_ESCAPES: Final = (
    (b"<", rb"\u003c"),
    (b">", rb"\u003e"),
    (b"&", rb"\u0026"),
    ("\u2028".encode(), rb"\u2028"),
    ("\u2029".encode(), rb"\u2029"),
)


def decoder(type: type[T]) -> msgspec.json.Decoder[T]:
    """A decoder for `decode`: of a struct that may hold digests."""
    return msgspec.json.Decoder(type, dec_hook=_decode_digest)


def decode(decoder: msgspec.json.Decoder[T], raw: bytes, *, what: str) -> T:
    """Read one untrusted document; `what` names it in errors. Raises InvalidManifest.

    As Go's decoder does, takes ``null`` for a field that is absent. Depth is bounded by the
    interpreter's recursion limit, which msgspec keeps.
    """
    if len(raw) > SIZE_LIMIT:
        raise InvalidManifest(f"invalid {what}: {len(raw)} bytes are more than {SIZE_LIMIT}")
    try:
        try:
            return decoder.decode(raw)
        except msgspec.ValidationError:
            if len(raw) > _LENIENCY_LIMIT:
                raise
            return decoder.decode(msgspec.json.encode(_without_nulls(msgspec.json.decode(raw))))
    except RecursionError:
        raise InvalidManifest(f"invalid {what}: nested too deeply") from None
    except UnicodeDecodeError as error:
        raise InvalidManifest(f"invalid {what}: not UTF-8") from error
    except (msgspec.DecodeError, InvalidDigest) as error:
        raise InvalidManifest(f"invalid {what}: {error}") from error


def encode(value: object) -> bytes:
    """Write `value` as Go's ``json.Marshal`` does: compact, maps by their keys, its escapes."""
    raw = msgspec.json.encode(value, enc_hook=_encode_digest, order="deterministic")
    # These characters occur in strings only, so replacing them needs no parser.
    for character, escape in _GO_ESCAPES:
        raw = raw.replace(character, escape)
    return raw


def _decode_digest(type: type, value: object) -> Digest:
    assert type is Digest
    if not isinstance(value, str):
        raise InvalidDigest(f"expected a digest, got {value!r:.80}")
    return Digest.parse(value)


def _encode_digest(value: object) -> str:
    assert isinstance(value, Digest)
    return str(value)


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_nulls(member) for key, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_without_nulls(member) for member in value]
    return value
