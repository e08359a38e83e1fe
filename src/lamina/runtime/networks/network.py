"""What a way out of a sandbox's own network is, and what such a network looks like."""

from dataclasses import dataclass
from typing import Final, Protocol

__all__ = ["BEHIND_A_PROGRAM", "DEVICE", "Endpoint", "Network", "Way"]

DEVICE: Final = "eth0"
"""What the network's device is called inside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A sandbox in its network: IPv4 addresses as text."""

    address: str
    prefix: int
    """How many bits of the address are the network's."""
    gateway: str
    mac: str = ""
    """Empty if it is not known."""
    resolver: str = ""
    """The name server that the network has of its own; empty: the host's are used."""


BEHIND_A_PROGRAM: Final = Endpoint(
    address="10.0.2.100", prefix=24, gateway="10.0.2.2", resolver="10.0.2.3"
)
"""In a network that a program alone forwards for: all have these, as none sees another."""


class Network(Protocol):
    """A network namespace with a way out, as long as it is not closed."""

    @property
    def path(self) -> str:
        """Where the OCI runtime finds the namespace."""

    @property
    def endpoint(self) -> Endpoint:
        """What it looks like from inside."""

    async def close(self) -> None:
        """Take the way out away, until nothing is left of it.

        The namespace goes with the last process in it.
        """


class Way(Protocol):
    """One way to make such networks."""

    @property
    def name(self) -> str:
        """What it is called, in the configuration too."""

    async def check(self) -> None:
        """Try whether it works here. Unavailable, with the reason."""

    async def open(self) -> Network:
        """A network that is ready. Unavailable."""
