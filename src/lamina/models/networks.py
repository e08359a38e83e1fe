"""A container's networks, as the Engine API tells of them and is told of them."""

import msgspec

from lamina.models.base import Value


class PortBinding(Value, frozen=True, kw_only=True):
    """Where on the host a container's port is bound; both empty means any."""

    host_ip: str = ""
    host_port: str = ""


PortMap = dict[str, tuple[PortBinding, ...] | None]
"""Ports such as ``80/tcp`` and what they are bound to; None for a port that is only exposed."""


class EndpointIPAMConfig(Value, frozen=True, kw_only=True, omit_defaults=True):
    """The addresses that an endpoint asks for."""

    ipv4_address: str = msgspec.field(name="IPv4Address", default="")
    ipv6_address: str = msgspec.field(name="IPv6Address", default="")
    link_local_ips: tuple[str, ...] | None = msgspec.field(name="LinkLocalIPs", default=None)


class EndpointSettings(Value, frozen=True, kw_only=True):
    """A container in one network (schema EndpointSettings)."""

    ipam_config: EndpointIPAMConfig | None = msgspec.field(name="IPAMConfig", default=None)
    links: tuple[str, ...] | None = None
    aliases: tuple[str, ...] | None = None
    network_id: str = msgspec.field(name="NetworkID", default="")
    endpoint_id: str = msgspec.field(name="EndpointID", default="")
    gateway: str = ""
    ip_address: str = msgspec.field(name="IPAddress", default="")
    ip_prefix_len: int = msgspec.field(name="IPPrefixLen", default=0)
    ipv6_gateway: str = msgspec.field(name="IPv6Gateway", default="")
    global_ipv6_address: str = msgspec.field(name="GlobalIPv6Address", default="")
    global_ipv6_prefix_len: int = msgspec.field(name="GlobalIPv6PrefixLen", default=0)
    mac_address: str = ""
    driver_opts: dict[str, str] | None = None


class NetworkingConfig(Value, frozen=True, kw_only=True):
    """The networks that a container is to join."""

    endpoints_config: dict[str, EndpointSettings] | None = None


class NetworkSettings(Value, frozen=True, kw_only=True):
    """All networks of a container (schema NetworkSettings), the default one's values on top."""

    bridge: str = ""
    sandbox_id: str = msgspec.field(name="SandboxID", default="")
    hairpin_mode: bool = False
    link_local_ipv6_address: str = msgspec.field(name="LinkLocalIPv6Address", default="")
    link_local_ipv6_prefix_len: int = msgspec.field(name="LinkLocalIPv6PrefixLen", default=0)
    ports: PortMap = msgspec.field(default_factory=dict)
    sandbox_key: str = ""
    secondary_ip_addresses: tuple[str, ...] | None = msgspec.field(
        name="SecondaryIPAddresses", default=None
    )
    secondary_ipv6_addresses: tuple[str, ...] | None = msgspec.field(
        name="SecondaryIPv6Addresses", default=None
    )
    endpoint_id: str = msgspec.field(name="EndpointID", default="")
    gateway: str = ""
    global_ipv6_address: str = msgspec.field(name="GlobalIPv6Address", default="")
    global_ipv6_prefix_len: int = msgspec.field(name="GlobalIPv6PrefixLen", default=0)
    ip_address: str = msgspec.field(name="IPAddress", default="")
    ip_prefix_len: int = msgspec.field(name="IPPrefixLen", default=0)
    ipv6_gateway: str = msgspec.field(name="IPv6Gateway", default="")
    mac_address: str = ""
    networks: dict[str, EndpointSettings] = msgspec.field(default_factory=dict)


class SummaryNetworks(Value, frozen=True, kw_only=True):
    """The networks of a container in a list."""

    networks: dict[str, EndpointSettings] = msgspec.field(default_factory=dict)


class Port(Value, frozen=True, kw_only=True):
    """A port of a container in a list; the host's side is unset where it is not bound."""

    ip: str | msgspec.UnsetType = msgspec.field(name="IP", default=msgspec.UNSET)
    private_port: int
    public_port: int | msgspec.UnsetType = msgspec.UNSET
    type: str = "tcp"
