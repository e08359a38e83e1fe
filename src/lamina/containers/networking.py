"""Which network a container is in, and what it is there, as dockerd tells it."""

from hashlib import sha256
from typing import Final

from lamina.containers.settings import wants_network
from lamina.containers.stored import settings_of, state_of
from lamina.models import EndpointSettings, NetworkSettings
from lamina.records.containers import Container
from lamina.runtime.networks.network import Endpoint

__all__ = [
    "endpoint_id",
    "endpoints",
    "exposed_ports",
    "network_id",
    "network_of",
    "network_settings",
]

_NOWHERE: Final = Endpoint(address="", prefix=0, gateway="")


def network_of(container: Container) -> str:
    """The name of its network; ``container:ID`` if it is another container's."""
    mode = settings_of(container).host_config.network_mode
    return "bridge" if mode == "default" else mode


def network_id(engine_id: str, name: str) -> str:
    """The ID of a network: 64 hexadecimal digits, for one engine always the same."""
    return sha256(f"{engine_id}/{name}".encode()).hexdigest()


def exposed_ports(container: Container) -> list[str]:
    """The ports that it has in a network of its own while it runs, such as ``80/tcp``, sorted.

    As they were asked for: they need not be any.
    """
    settings = settings_of(container)
    if not (container.is_running and wants_network(settings.host_config)):
        return []
    return sorted(settings.config.exposed_ports)


def endpoint_id(container: Container, engine_id: str) -> str:
    """The ID of what a container is in its network: 64 hexadecimal digits, empty if it ended."""
    return network_id(engine_id, container.id) if container.is_running else ""


def network_settings(container: Container, engine_id: str) -> NetworkSettings:
    """What an inspection tells of a container's network."""
    endpoint = state_of(container).endpoint or _NOWHERE
    return NetworkSettings(
        ports=dict.fromkeys(exposed_ports(container)),
        ip_address=endpoint.address,
        ip_prefix_len=endpoint.prefix,
        gateway=endpoint.gateway,
        mac_address=endpoint.mac,
        networks=endpoints(container, engine_id),
    )


def endpoints(container: Container, engine_id: str) -> dict[str, EndpointSettings]:
    """What a container is in its network, by the network's name; in none of its own nothing."""
    name, state = network_of(container), state_of(container)
    if name.startswith("container:"):
        return {}
    endpoint = state.endpoint or _NOWHERE
    shown = EndpointSettings(
        network_id=network_id(engine_id, name) if state.started else "",
        endpoint_id=endpoint_id(container, engine_id),
        ip_address=endpoint.address,
        ip_prefix_len=endpoint.prefix,
        gateway=endpoint.gateway,
        mac_address=endpoint.mac,
    )
    return {name: shown}
