"""Parses containerd's ``hosts.toml``: the endpoints of one registry, in the file's order. Pure."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from yarl import URL

from lamina.errors import InvalidParameter
from lamina.registry.hosts import (
    ALL_CAPABILITIES,
    Capability,
    ClientCertificate,
    Endpoint,
    Tls,
    api_host,
    host_of,
)

_CAPABILITIES: Mapping[str, Capability] = {"pull": "pull", "resolve": "resolve", "push": "push"}


def parse(text: str, *, registry: str, directory: Path) -> tuple[Endpoint, ...]:
    """The hosts of the file, then its ``server`` (the registry itself if there is none).

    Relative file names are meant from `directory`. Raises InvalidParameter.
    """
    try:
        document = tomllib.loads(text)
        hosts = _table(document, "host")
        found = [
            _endpoint(url, _table(hosts, url), registry=registry, directory=directory)
            for url in hosts
        ]
        server = document.get("server") or f"https://{api_host(registry)}"
        itself = {key: value for key, value in document.items() if key not in {"server", "host"}}
        last = _endpoint(server, itself, registry=registry, directory=directory)
    except (tomllib.TOMLDecodeError, ValueError, TypeError, RecursionError) as error:
        raise InvalidParameter(f"failed to parse {directory / 'hosts.toml'}: {error}") from error
    if not any(
        (last.scheme, last.host, last.prefix) == (e.scheme, e.host, e.prefix) for e in found
    ):
        found.append(last)
    return tuple(found)


def _endpoint(
    address: str, options: Mapping[str, Any], *, registry: str, directory: Path
) -> Endpoint:
    url = URL(address if "://" in address else f"https://{address}")
    if url.scheme not in {"https", "http"} or not url.host:
        raise ValueError(f"unsupported address {address!r}")
    scheme: Literal["https", "http"] = "http" if url.scheme == "http" else "https"
    verify = not _boolean(options, "skip_verify")
    prefix = url.raw_path.rstrip("/")
    if not _boolean(options, "override_path") and not prefix.endswith("/v2"):
        prefix += "/v2"
    is_mirror = host_of(url) not in {registry, api_host(registry)}
    return Endpoint(
        scheme=scheme,
        host=host_of(url),
        prefix=prefix,
        tls=Tls(
            authorities=tuple(directory / name for name in _strings(options.get("ca", []))),
            clients=_clients(options.get("client", []), directory),
            verify=verify,
        ),
        plain_allowed=scheme == "http" or not verify,
        is_mirror=is_mirror,
        capabilities=_capabilities(options.get("capabilities")),
        headers=_headers(_table(options, "header")),
        namespace=registry if is_mirror else "",
    )


def _table(options: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = options.get(name, {})
    if not isinstance(value, dict):
        raise TypeError(f"{name} must be a table")
    return value


def _boolean(options: Mapping[str, Any], name: str) -> bool:
    value = options.get(name, False)
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be true or false")
    return value


def _strings(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise TypeError(f"{value!r} must be text or a list of text")


def _clients(value: object, directory: Path) -> tuple[ClientCertificate, ...]:
    """One file, a list of files, or a list of pairs of certificate and key."""
    if isinstance(value, list) and any(isinstance(item, list) for item in value):
        pairs = []
        for item in value:
            certificate, *key = _strings(item)
            if len(key) > 1:
                raise ValueError("client must be pairs of certificate and key")
            pairs.append(
                ClientCertificate(
                    directory / certificate, directory / key[0] if key and key[0] else None
                )
            )
        return tuple(pairs)
    return tuple(ClientCertificate(directory / name) for name in _strings(value))


def _capabilities(value: object) -> frozenset[Capability]:
    if value is None:
        return ALL_CAPABILITIES
    names = _strings(value)
    unknown = [name for name in names if name not in _CAPABILITIES]
    if unknown:
        raise ValueError(f"unknown capability {unknown[0]!r}")
    return frozenset(_CAPABILITIES[name] for name in names)


def _headers(table: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name in table for value in _strings(table[name]))
