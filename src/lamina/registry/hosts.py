"""Which endpoints stand for a registry: mirrors first, then itself; TLS unless it may be plain.

Pure. `HostRules` is the engine's configuration; `HostFiles` is what lies in one host's directory of
certificates (`lamina.registry.certs` reads it). A registry is named as in a reference (`docker.io`,
`ghcr.io`, `localhost:5000`).
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from yarl import URL

from lamina.errors import InvalidParameter, LaminaError

DOCKER_HUB = "docker.io"
HUB_HOST = "registry-1.docker.io"
LOOPBACK = ("127.0.0.0/8", "::1/128")
EVERY_REGISTRY = "*"
"""The key of `HostRules.mirrors` for mirrors of all registries that have none of their own."""

Capability = Literal["pull", "resolve", "push"]
ALL_CAPABILITIES: frozenset[Capability] = frozenset({"pull", "resolve", "push"})
MIRROR_CAPABILITIES: frozenset[Capability] = frozenset({"pull", "resolve"})

_HOST = re.compile(r"(?:\[[0-9A-Za-z:.%]+\]|[^\x00-\x20\x7f/\\?#@\[\]:]+)(?::([0-9]*))?")


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A client certificate; `key` is None where both are in one file."""

    certificate: Path
    key: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How to trust a host and prove who we are: files in PEM, added to the system's authorities."""

    authorities: tuple[Path, ...] = ()
    clients: tuple[ClientCertificate, ...] = ()
    verify: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One way to reach a registry's content.

    `host` is ``name[:port]``, `prefix` the path before ``/<repository>/…``. `plain_allowed` says
    that what it refers to (token servers, redirects) may be plain HTTP too. `namespace` is the
    registry a mirror is asked on behalf of, sent as ``?ns=``; empty where the host knows by itself.
    """

    scheme: Literal["https", "http"]
    host: str
    prefix: str = "/v2"
    tls: Tls = Tls()
    plain_allowed: bool = False
    is_mirror: bool = False
    capabilities: frozenset[Capability] = ALL_CAPABILITIES
    headers: tuple[tuple[str, str], ...] = ()
    namespace: str = ""

    @property
    def origin(self) -> URL:
        """Scheme, host and port."""
        return URL(f"{self.scheme}://{self.host}", encoded=True)

    def url(self, path: str, query: Mapping[str, str] | None = None) -> URL:
        """The address of `path`, which begins with a slash and is encoded; ``/`` is the base."""
        pairs = dict(query or {})
        if self.namespace:
            pairs["ns"] = self.namespace
        url = URL(f"{self.scheme}://{self.host}{self.prefix}{path}", encoded=True)
        return url.with_query(pairs) if pairs else url


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFiles:
    """What a host's directories say: `tls` for the registry itself, `endpoints` of a hosts.toml."""

    tls: Tls = Tls()
    endpoints: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRules:
    """The engine's settings about registries.

    `mirrors`: URLs by registry, asked in their order before the registry itself, for pulls only; a
    plain ``http://`` one is allowed by being named. `insecure`: hosts (``name[:port]``) and
    networks (CIDR) whose certificates are not checked and which may speak plain HTTP; loopback
    always may. `certificates`: directories with one directory a host, in docker's or
    containerd's layout.
    """

    mirrors: Mapping[str, Sequence[str]] = field(default_factory=lambda: MappingProxyType({}))
    insecure: Sequence[str] = ()
    certificates: Sequence[Path] = ()

    def __post_init__(self) -> None:
        for urls in self.mirrors.values():
            for url in urls:
                mirror_endpoint(url, HostFiles())


def api_host(registry: str) -> str:
    """The host that serves a registry's API: its own name, but for Docker Hub."""
    return HUB_HOST if registry in {DOCKER_HUB, f"index.{DOCKER_HUB}"} else registry


def check_host(host: str) -> None:
    """Raise InvalidParameter for what is no ``name[:port]``, LaminaError for no port there is."""
    match = _HOST.fullmatch(host)
    if match is None:
        raise InvalidParameter(f'parse "https://{host}": invalid host name')
    port = match[1] or ""
    if len(port) > 5 or int(port or 0) >= 1 << 16:
        raise LaminaError(f'Get "https://{host}/v2/": dial tcp: address {port}: invalid port')


def split_host(host: str) -> tuple[str, int | None]:
    """Name and port of ``name[:port]`` or ``[ipv6][:port]``."""
    url = URL(f"//{host}", encoded=True)
    return url.host or "", url.explicit_port


def is_insecure(rules: HostRules, host: str, addresses: Iterable[str] = ()) -> bool:
    """Whether plain HTTP and unchecked certificates are allowed for `host`.

    `addresses` are those that its name stands for, where they are known.
    """
    name, _ = split_host(host)
    networks = []
    for entry in (*LOOPBACK, *rules.insecure):
        try:
            networks.append(ipaddress.ip_network(entry, strict=False))
        except ValueError:
            if entry == host:
                return True
    if name == "localhost":
        return True
    for text in (name, *addresses):
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if any(address in network for network in networks if network.version == address.version):
            return True
    return False


def endpoints(
    rules: HostRules,
    registry: str,
    *,
    files: Mapping[str, HostFiles] | None = None,
    insecure: bool | None = None,
) -> tuple[Endpoint, ...]:
    """Every way to reach `registry`, best first.

    `files` are the host directories by host; `insecure` overrides `is_insecure` (a caller that has
    looked the name up).
    """
    files = files or {}
    own = files.get(api_host(registry), HostFiles())
    listed = files.get(registry, HostFiles()).endpoints
    found = [
        mirror_endpoint(url, files.get(host_of(URL(url)), HostFiles()), rules)
        for url in rules.mirrors.get(registry, rules.mirrors.get(EVERY_REGISTRY, ()))
    ]
    found.extend(listed)
    if not any(not endpoint.is_mirror for endpoint in listed):
        if insecure is None:
            insecure = is_insecure(rules, api_host(registry))
        found.extend(_itself(api_host(registry), own.tls, insecure=insecure))
    return tuple(found)


def host_of(url: URL) -> str:
    """``name[:port]`` of a URL, as it was written."""
    port = "" if url.explicit_port is None else f":{url.explicit_port}"
    return f"{url.host_subcomponent or ''}{port}"


def mirror_endpoint(url: str, files: HostFiles, rules: HostRules | None = None) -> Endpoint:
    """The endpoint of one configured mirror URL. Raises InvalidParameter."""
    try:
        parsed = URL(url)
        host = host_of(parsed)
    except ValueError as error:
        raise InvalidParameter(f"invalid mirror: {url!r} is not a valid URI") from error
    if parsed.scheme not in {"https", "http"}:
        raise InvalidParameter(f'invalid mirror: unsupported scheme "{parsed.scheme}" in "{url}"')
    if parsed.user or parsed.query_string or parsed.fragment or not host:
        raise InvalidParameter(
            f"invalid mirror: user name, query or fragment at the end of the URI {url!r}"
        )
    insecure = parsed.scheme == "http" or (rules is not None and is_insecure(rules, host))
    return Endpoint(
        scheme="http" if parsed.scheme == "http" else "https",
        host=host,
        prefix=f"{parsed.raw_path.rstrip('/')}/v2",
        tls=replace(files.tls, verify=False) if insecure else files.tls,
        plain_allowed=insecure,
        is_mirror=True,
        capabilities=MIRROR_CAPABILITIES,
    )


def _itself(host: str, tls: Tls, *, insecure: bool) -> tuple[Endpoint, ...]:
    if not insecure:
        return (Endpoint(scheme="https", host=host, tls=tls),)
    # An authority that was given is worth being checked even where that is not demanded.
    unchecked = tls if tls.authorities else replace(tls, verify=False)
    secure = Endpoint(scheme="https", host=host, tls=unchecked, plain_allowed=True)
    return (secure, Endpoint(scheme="http", host=host, plain_allowed=True))
