"""Values as JSON for clients, whatever bytes the names of files in them are made of."""

import json
import re

import msgspec

__all__ = ["encode_in_order", "encode_json"]

_encode_in_order = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="deterministic").encode

_NO_UTF8 = re.compile("[\ud800-\udfff]")
"""What Python has for a byte of a name that is no UTF-8."""


def encode_json(value: object) -> bytes:
    """`value` in one line, maps by their keys; U+FFFD for what is no UTF-8, as Go writes it."""
    try:
        return _encode_sorted(value)
    except UnicodeEncodeError:
        return _encode_any(msgspec.to_builtins(value, order="deterministic"))


def encode_in_order(value: object) -> bytes:
    """The same, but maps have the order in which they were made."""
    try:
        return _encode_in_order(value)
    except UnicodeEncodeError:
        return _encode_any(msgspec.to_builtins(value))


def _encode_any(plain: object) -> bytes:
    text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
    return _NO_UTF8.sub("\ufffd", text).encode()
