"""What a caller gives for registries: credentials, and headers that they shall be sent."""

import re
from typing import Final

import msgspec

from lamina.errors import InvalidParameter
from lamina.image_api import MetaHeaders, RegistryAuth, RegistryConfig
from lamina.registry.credentials import (
    AuthConfig,
    decode_header,
    decode_map,
    registry_of,
    unpack,
)

__all__ = ["headers_of", "parse_auth", "parse_auths"]

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""What a header's name is made of (RFC 9110 §5.6.2)."""


def parse_auth(given: RegistryAuth) -> AuthConfig | None:
    """The credentials that a request brings; None if there are none, or no sense in them."""
    try:
        if isinstance(given, str):
            return decode_header(given) if given else None
        return unpack(msgspec.convert(dict(given), AuthConfig))
    except (InvalidParameter, msgspec.ValidationError):
        # As a dockerd does it: the registry will say that it does not know who this is.
        return None


def headers_of(meta: MetaHeaders | None) -> dict[str, str]:
    """The headers that tell a registry what its caller wants it told. Raises InvalidParameter."""
    for name, value in (meta or {}).items():
        if not (_NAME.fullmatch(name) and value.isprintable()):
            raise InvalidParameter(f"invalid header X-Meta-{name}: {value!r}"[:200])
    return {f"X-Meta-{name}": value for name, value in (meta or {}).items()}


def parse_auths(given: RegistryConfig) -> dict[str, AuthConfig]:
    """Credentials by registry; what has no sense is left out, as a dockerd does it."""
    try:
        if isinstance(given, str):
            return decode_map(given)
        return {
            registry_of(key): unpack(msgspec.convert(dict(value), AuthConfig))
            for key, value in given.items()
        }
    except (InvalidParameter, msgspec.ValidationError):
        return {}
