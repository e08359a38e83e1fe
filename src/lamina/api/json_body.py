"""A request's body as JSON, by the rules of dockerd."""

from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

import msgspec

from lamina.api.exchange import Exchange
from lamina.errors import InvalidParameter

T = TypeVar("T")

MAX_BODY = 1 << 20
"""Bytes of a body that is no archive."""

_JSON = "application/json"

_decode = msgspec.json.Decoder().decode


async def read_fields(exchange: Exchange, kind: type[T]) -> T | None:
    """The body as a `kind`; None if there is no body. Raises InvalidParameter as `read_json`."""
    value = await read_json(exchange)
    return None if value is None else fields_of(value, kind)


def fields_of(value: object, kind: type[T]) -> T:
    """A JSON value as a `kind`. Raises InvalidParameter.

    As for Go's decoder, a field that is null is not given, one that is unknown is nothing, and
    names may be in any case.
    """
    try:
        return msgspec.convert(_without_nulls(value, kind), kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InvalidParameter(f"invalid JSON: {error}") from error


def with_field_names(value: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """An object whose names are written as `kind` writes them, whatever their case was."""
    names = {name.lower(): name for name in kind.__struct_encode_fields__}
    return {names.get(name.lower(), name): item for name, item in value.items()}


def _without_nulls(value: Any, kind: Any) -> Any:  # noqa: ANN401
    """`value`, which is to become a `kind`, with nulls left out where Go leaves the zero value."""
    if isinstance(value, dict):
        if (struct := _struct_in(kind)) is not None:
            types = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
            return {
                name: _without_nulls(item, types.get(name))
                for name, item in with_field_names(value, struct).items()
                if item is not None
            }
        return {
            name: _without_nulls(item, item_kind) if item is not None else zero
            for item_kind, zero in [_item_of(kind)]
            for name, item in value.items()
        }
    if isinstance(value, list):
        item_kind = next((arg for part in _parts(kind) for arg in get_args(part)), None)
        return [_without_nulls(item, item_kind) for item in value]
    return value


def _parts(kind: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """The members of a union, or the one type."""
    return get_args(kind) if isinstance(kind, UnionType) else (kind,)


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:  # noqa: ANN401
    for part in _parts(kind):
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            return part
    return None


def _item_of(kind: Any) -> tuple[Any, Any]:  # noqa: ANN401
    """What a map's values are to become, and what null is among them."""
    for part in _parts(kind):
        if get_origin(part) is dict:
            item = get_args(part)[1]
            return item, "" if item is str else {} if get_origin(item) is dict else None
    return None, None


async def read_json(exchange: Exchange) -> object:
    """The body's one JSON value; None if there is no body.

    Raises InvalidParameter: another Content-Type, more than one value, too long.
    """
    body = bytearray()
    async for chunk in exchange.body():
        body += chunk
        if len(body) > MAX_BODY:
            raise InvalidParameter(f"invalid JSON: larger than {MAX_BODY} bytes")
    if not body.strip():
        return None
    given = exchange.headers.get("Content-Type", "")
    kind = given.partition(";")[0].strip().lower()
    if kind.count("/") != 1:
        raise InvalidParameter(f"malformed Content-Type header ({given}): mime: no media type")
    if kind != _JSON:
        raise InvalidParameter(f"unsupported Content-Type header ({given}): must be '{_JSON}'")
    try:
        return decode_json(bytes(body))
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidParameter(f"invalid JSON: {error}") from error


def decode_json(text: bytes) -> object:
    """What the JSON `text` says. Raises msgspec.DecodeError, RecursionError.

    As for Go's decoder, bytes that are no UTF-8 are no error: U+FFFD stands for them.
    """
    try:
        return _decode(text)
    except UnicodeDecodeError:
        return _decode(text.decode(errors="replace"))
