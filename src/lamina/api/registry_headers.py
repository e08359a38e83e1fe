"""Headers of requests that are meant for registries."""

from lamina.api.exchange import Exchange

_META = "x-meta-"


def registry_auth(exchange: Exchange) -> str:
    """The credentials, as they were sent; empty if there are none."""
    return exchange.headers.get("X-Registry-Auth", "")


def meta_headers(exchange: Exchange) -> dict[str, str]:
    """What the registry is to be told, by the headers' names without ``X-Meta-``."""
    found: dict[str, str] = {}
    for name, value in exchange.headers.items():
        if name.lower().startswith(_META):
            key = name[len(_META) :]
            found[key] = f"{found[key]}, {value}" if key in found else value
    return found
