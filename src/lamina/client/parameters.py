"""Values as parameters and headers of requests. Pure."""

import base64
from collections.abc import Iterable, Mapping

import msgspec

from lamina.image_api import Filters, MetaHeaders, RegistryAuth, RegistryConfig


def given(**params: str) -> dict[str, str]:
    """Those that say something."""
    return {name: value for name, value in params.items() if value}


def number(value: int) -> str:
    """A number; empty for 0, which is what an engine takes where none is given."""
    return str(value) if value else ""


def as_json(value: Mapping[str, object] | list[object]) -> str:
    """Something of several parts; empty where there are none."""
    return msgspec.json.encode(value).decode() if value else ""


def encode_filters(filters: Filters | None) -> str:
    """Filters as the query has them: ``{"label": {"a": true}}``; empty where there are none."""
    encoded: dict[str, dict[str, bool]] = {}
    for name, value in (filters or {}).items():
        texts: Iterable[str]
        if isinstance(value, bool):
            texts = ("true" if value else "false",)
        elif isinstance(value, str):
            texts = (value,)
        else:
            texts = value
        encoded[name] = dict.fromkeys(texts, True)
    return as_json(encoded)


def auth_header(auth: RegistryAuth) -> dict[str, str]:
    """The header with credentials, always sent: older engines take its lack for a mistake."""
    if isinstance(auth, str):
        return {"X-Registry-Auth": auth or _encoded({})}
    return {"X-Registry-Auth": _encoded(dict(auth))}


def config_header(config: RegistryConfig) -> str:
    """The value of the header with the credentials of all registries."""
    if isinstance(config, str):
        return config or _encoded({})
    return _encoded({registry: dict(auth) for registry, auth in config.items()})


def meta_headers(meta: MetaHeaders | None) -> dict[str, str]:
    """The headers that an engine passes on to the registry."""
    return {f"X-Meta-{name}": value for name, value in (meta or {}).items()}


def _encoded(document: Mapping[str, object]) -> str:
    """JSON as base64url."""
    return base64.urlsafe_b64encode(msgspec.json.encode(document)).decode()
