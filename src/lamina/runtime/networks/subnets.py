"""Subnets that nobody on the host uses."""

import ipaddress
import socket
import struct
from collections.abc import Iterable, Iterator
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["Route", "default_device", "free_subnets", "host_routes", "is_free", "name_servers"]

_PREFIX: Final = 22
"""Has room for as many as one bridge of the kernel takes (1024)."""
_POOLS: Final = (
    IPv4Network("10.192.0.0/10"),
    IPv4Network("172.24.0.0/13"),
    IPv4Network("192.168.0.0/16"),
)
"""Private networks, the first where podman and dockerd take none."""
_ROUTES: Final = Path("/proc/thread-self/net/route")
_WIDE: Final = 2
"""A route for that few bits is meant for what is nowhere else."""


class Route(NamedTuple):
    """A route of the host's."""

    device: str
    destination: IPv4Network


def host_routes(text: str | None = None) -> list[Route]:
    """The routes, out of the kernel's table (its file, if it is not given)."""
    lines = (_ROUTES.read_text() if text is None else text).splitlines()[1:]
    return [
        Route(columns[0], IPv4Network((_address(columns[1]), _address(columns[7]))))
        for columns in (line.split() for line in lines)
    ]


def _address(column: str) -> str:
    """An address out of the kernel's table, where it is a number of the machine's own."""
    return socket.inet_ntoa(struct.pack("=I", int(column, 16)))


def default_device(routes: Iterable[Route]) -> str:
    """The device by which the host reaches what is nowhere else; empty if there is none."""
    return next((route.device for route in routes if not route.destination.prefixlen), "")


def name_servers(resolver: str) -> list[IPv4Address]:
    """The name servers of a ``resolv.conf`` that have such addresses."""
    found = []
    for line in resolver.splitlines():
        match line.split():
            case ["nameserver", address, *_]:
                try:
                    found.append(IPv4Address(address))
                except ipaddress.AddressValueError:
                    continue
            case _:
                continue
    return found


def is_free(subnet: IPv4Network, routes: Iterable[Route], *, but: str = "") -> bool:
    """Whether no route leads into a subnet, those of the device `but` aside."""
    return not any(
        route.destination.overlaps(subnet)
        for route in routes
        if route.device != but and route.destination.prefixlen > _WIDE
    )


def free_subnets(
    seed: str, routes: Iterable[Route], servers: Iterable[IPv4Address]
) -> Iterator[IPv4Network]:
    """Subnets that are free; which comes first depends on the seed."""
    known, reached = list(routes), list(servers)
    for pool in _POOLS:
        count = 1 << (_PREFIX - pool.prefixlen)
        first = int.from_bytes(sha256(seed.encode()).digest()[:8]) % count
        for number in range(count):
            offset = (first + number) % count
            start = int(pool.network_address) + (offset << (32 - _PREFIX))
            subnet = IPv4Network((start, _PREFIX))
            if is_free(subnet, known) and not any(server in subnet for server in reached):
                yield subnet
