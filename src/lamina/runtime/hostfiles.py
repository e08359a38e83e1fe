"""The files that an engine gives to a container: /etc/hosts, /etc/hostname, /etc/resolv.conf."""

import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from lamina.errors import InvalidParameter
from lamina.runtime.networks.network import Endpoint
from lamina.runtime.spec import Mount, NetworkMode, SandboxSpec

__all__ = [
    "FILES",
    "host_file_mounts",
    "host_line",
    "host_resolver",
    "hosts_text",
    "resolver_text",
]

FILES: Final = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")

_RESOLVER: Final = Path("/etc/resolv.conf")
_STUB_RESOLVER: Final = Path("/run/systemd/resolve/resolv.conf")
"""What systemd-resolved knows; /etc/resolv.conf then names an address of the host's own."""
_PUBLIC_RESOLVERS: Final = ("8.8.8.8", "8.8.4.4")
_NO_GATEWAY: Final = "127.0.0.1"
_HOSTS: Final = (
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "ff00::0\tip6-mcastprefix",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
)


def host_file_mounts(
    directory: Path, spec: SandboxSpec, *, endpoint: Endpoint | None = None
) -> list[Mount]:
    """Write the files into `directory`, and say where they go; those with a mount are left out.

    `endpoint` is the sandbox's in its own network, if that has a way out.
    """
    texts = {
        "/etc/hosts": hosts_text(spec, endpoint),
        "/etc/hostname": f"{spec.hostname}\n",
        "/etc/resolv.conf": _resolver(spec, endpoint),
    }
    taken = {mount.target for mount in spec.mounts}
    mounts = []
    for target, text in texts.items():
        if target in taken:
            continue
        path = directory / target.rpartition("/")[2]
        path.write_text(text)
        path.chmod(0o644)
        mounts.append(Mount(target, str(path)))
    return mounts


def hosts_text(spec: SandboxSpec, endpoint: Endpoint | None = None) -> str:
    """The text of ``/etc/hosts``. InvalidParameter."""
    own, gateway = (endpoint.address, endpoint.gateway) if endpoint else ("127.0.1.1", _NO_GATEWAY)
    if spec.network is NetworkMode.HOST:
        lines = [*_host_lines(Path("/etc/hosts"))]
    else:
        lines = list(_HOSTS)
        if spec.hostname and spec.network is not NetworkMode.CONTAINER:
            names = spec.hostname
            if spec.domainname:
                names = f"{spec.hostname}.{spec.domainname} {spec.hostname}"
            lines.append(f"{own}\t{names}")
    lines += [host_line(text, gateway=gateway) for text in spec.extra_hosts]
    return "\n".join(lines) + "\n"


def host_line(text: str, *, gateway: str = _NO_GATEWAY) -> str:
    """The line of ``name:address``, where ``host-gateway`` is one. InvalidParameter."""
    name, separator, address = text.partition(":" if ":" in text.partition("=")[0] else "=")
    if not separator or not name:
        raise InvalidParameter(f'bad format for add-host: "{text}"')
    if address != "host-gateway":
        try:
            ipaddress.ip_address(address.strip("[]"))
        except ValueError:
            raise InvalidParameter(f'invalid IP address in add-host: "{address}"') from None
    else:
        address = gateway
    return f"{address.strip('[]')}\t{name}"


def _host_lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return list(_HOSTS)


def host_resolver() -> str:
    """The text of the host's ``/etc/resolv.conf``; empty if it has none."""
    for path in (_STUB_RESOLVER, _RESOLVER):
        try:
            return path.read_text(errors="replace")
        except OSError:
            continue
    return ""


def _resolver(spec: SandboxSpec, endpoint: Endpoint | None) -> str:
    own = endpoint.resolver if endpoint else ""
    return resolver_text(
        host_resolver(),
        servers=spec.dns or ((own,) if own else ()),
        search=spec.dns_search,
        options=spec.dns_options,
        local=spec.network in {NetworkMode.HOST, NetworkMode.CONTAINER},
    )


def resolver_text(
    host: str,
    *,
    servers: Iterable[str] = (),
    search: Iterable[str] = (),
    options: Iterable[str] = (),
    local: bool,
) -> str:
    """The text of ``/etc/resolv.conf``, out of the host's and what is asked for instead.

    Servers at an address of the host's own are of use only if `local`; without any other, public
    ones are named, as by dockerd.
    """
    kept: dict[str, list[str]] = {"nameserver": [], "search": [], "options": []}
    for line in host.splitlines():
        key, _, value = line.strip().partition(" ")
        if key in kept:
            kept[key] += value.split()[:1] if key == "nameserver" else value.split()
    found = [server for server in kept["nameserver"] if local or not _is_loopback(server)]
    chosen = {
        "nameserver": list(servers) or found or list(_PUBLIC_RESOLVERS),
        "search": list(search) or kept["search"],
        "options": list(options) or kept["options"],
    }
    lines = [f"nameserver {server}" for server in chosen["nameserver"]]
    lines += [
        f"{key} {' '.join(chosen[key])}"
        for key in ("search", "options")
        if chosen[key] and chosen[key] != ["."]
    ]
    return "\n".join(lines) + "\n"


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
