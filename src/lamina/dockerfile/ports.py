"""Port specifications of EXPOSE, as go-connections' ``nat`` reads them."""

import ipaddress
import re
from collections.abc import Iterable

from lamina.dockerfile.source import DockerfileError

PROTOCOLS = frozenset({"tcp", "udp", "sctp"})

_MOST = 1 << 18
"""Ports that may be named at once: more than there are, if each is named once."""


def parse_ports(specs: Iterable[str]) -> tuple[str, ...]:
    """``80``, ``8000-8010/udp``, ``127.0.0.1:80:80`` … as the container's ports ``80/tcp``.

    In order, each once. Raises DockerfileError in Docker's words, and for too many.
    """
    ports: dict[str, None] = {}
    named = 0
    for spec in specs:
        span, protocol = _parse(spec)
        named += len(span)
        if named > _MOST:
            raise DockerfileError(f"more than {_MOST} ports are named")
        ports |= dict.fromkeys(f"{number}/{protocol}" for number in span)
    return tuple(ports)


def _parse(spec: str) -> tuple[range, str]:
    """The container's ports and their protocol."""
    host_ip, host_port, container = _split(spec)
    port, protocol = split_protocol(container)
    _check_ip(host_ip)
    if not port:
        raise DockerfileError(f"No port specified: {spec}<empty>")
    span = _span(port)
    if span is None:
        raise DockerfileError(f"Invalid containerPort: {port}")
    if host_port:
        host_span = _span(host_port)
        if host_span is None:
            raise DockerfileError(f"Invalid hostPort: {host_port}")
        # A single container port may have a range of host ports to choose from.
        if len(host_span) != len(span) and len(span) > 1:
            raise DockerfileError(
                f"Invalid ranges specified for container and host Ports: {port} and {host_port}"
            )
    if protocol.lower() not in PROTOCOLS:
        raise DockerfileError(f"Invalid proto: {protocol}")
    return span, protocol.lower()


def _split(spec: str) -> tuple[str, str, str]:
    """(host address, host port, container port with protocol)."""
    *before, container = spec.split(":")
    if not before:
        return "", "", container
    *address, host_port = before
    return ":".join(address), host_port, container


def split_protocol(port: str) -> tuple[str, str]:
    """``80/udp`` as (port, protocol); tcp where there is none."""
    number, *rest = port.split("/")
    if not number:
        return "", ""
    return number, (rest[0] if rest else "") or "tcp"


def _check_ip(text: str) -> None:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if bare == text and ":" in text:
        reason = f"address {text}:: too many colons in address"
        raise DockerfileError(f"Invalid ip address {text}: {reason}")
    if bare:
        try:
            ipaddress.ip_address(bare)
        except ValueError:
            raise DockerfileError(f"Invalid ip address: {bare}") from None


def _span(text: str) -> range | None:
    """The ports of ``80`` or ``80-90``; None if it is neither."""
    first, dash, last = text.partition("-")
    if not dash:
        last = first
    if not (_is_port(first) and _is_port(last)):
        return None
    low, high = int(first), int(last)
    return range(low, high + 1) if low <= high else None


def _is_port(text: str) -> bool:
    return bool(re.fullmatch("0*[0-9]{1,5}", text)) and int(text) <= 65535
