"""A request's body as JSON, by the rules of dockerd."""

from typing import TypeVar

import msgspec

from lamina.api.exchange import Exchange
from lamina.errors import InvalidParameter

T = TypeVar("T")

MAX_BODY = 1 << 20
"""Bytes of a body that is no archive."""

_JSON = "application/json"


async def read_json(exchange: Exchange, decoder: msgspec.json.Decoder[T]) -> T | None:
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
        return decoder.decode(bytes(body))
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidParameter(f"invalid JSON: {error}") from error
