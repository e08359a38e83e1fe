"""Networks, and containers in them, as the Engine API tells of them and is told of them."""

import msgspec

from lamina.models.base import Model, Value


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


class IPAM(Model, kw_only=True):
    """Who gives a network's addresses, and out of which subnets."""

    driver: str = "default"
    options: dict[str, str] | None = None
    config: list[dict[str, str]] | None = msgspec.field(default_factory=list)


class ConfigReference(Model, kw_only=True):
    """The network that another takes its configuration from; empty: from none."""

    network: str = ""


class NetworkContainer(Model, kw_only=True):
    """A container as a network tells of it; addresses with the length of their prefix."""

    name: str
    endpoint_id: str = msgspec.field(name="EndpointID", default="")
    mac_address: str = ""
    ipv4_address: str = msgspec.field(name="IPv4Address", default="")
    ipv6_address: str = msgspec.field(name="IPv6Address", default="")


class NetworkInspect(Model, kw_only=True):
    """A network (schema Network). `created` is RFC 3339; lists leave `containers` empty."""

    name: str
    id: str
    created: str
    scope: str = "local"
    driver: str
    enable_ipv6: bool = msgspec.field(name="EnableIPv6", default=False)
    ipam: IPAM = msgspec.field(name="IPAM", default_factory=IPAM)
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_from: ConfigReference = msgspec.field(default_factory=ConfigReference)
    config_only: bool = False
    containers: dict[str, NetworkContainer] = msgspec.field(default_factory=dict)
    options: dict[str, str] | None = msgspec.field(default_factory=dict)
    labels: dict[str, str] | None = msgspec.field(default_factory=dict)
