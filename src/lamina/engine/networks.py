"""The networks that there are: bridge, if containers' own ones have a way out, host and none."""

from typing import Final

import msgspec

from lamina.containers.networking import endpoint_id, network_id, network_of
from lamina.containers.stored import state_of
from lamina.engine.filters import FilterSet
from lamina.errors import InvalidFilter, InvalidParameter, NotFound
from lamina.image_api import Filters
from lamina.models import NetworkContainer, NetworkInspect
from lamina.records.catalogue import Catalogue
from lamina.records.containers import Container

__all__ = ["filter_networks", "find_network", "predefined_networks", "with_containers"]

_DRIVERS: Final = {"bridge": "bridge", "host": "host", "none": "null"}
_FILTERS: Final = ("dangling", "driver", "id", "label", "name", "scope", "type")


def predefined_networks(engine_id: str, created: str, *, bridge: bool) -> list[NetworkInspect]:
    """All there are; an engine gives them the same IDs always."""
    return [
        NetworkInspect(
            name=name,
            id=network_id(engine_id, name),
            created=created,
            driver=driver,
        )
        for name, driver in _DRIVERS.items()
        if bridge or name != "bridge"
    ]


def filter_networks(
    networks: list[NetworkInspect], filters: Filters | None
) -> list[NetworkInspect]:
    """Those that the filters let through. Raises InvalidFilter."""
    checked = FilterSet.check(filters, _FILTERS)
    try:
        dangling = checked.boolean("dangling", default=False)
    except InvalidFilter:
        raise InvalidFilter(
            'invalid value for filter \'dangling\', must be "true" (or "1"), or "false" (or "0")',
            name="dangling",
        ) from None
    for kind in checked["type"]:
        if kind not in ("builtin", "custom"):
            raise InvalidFilter(f"invalid filter: 'type'='{kind}'", name="type")
    # Of those that are made by somebody, there is none.
    if dangling or ("type" in checked and "builtin" not in checked["type"]):
        return []
    return [
        network
        for network in networks
        if checked.finds("name", network.name)
        and checked.finds("id", network.id)
        and network.driver in (checked["driver"] or (network.driver,))
        and network.scope in (checked["scope"] or (network.scope,))
        and checked.matches_labels(network.labels)
    ]


def find_network(networks: list[NetworkInspect], name: str, scope: str = "") -> NetworkInspect:
    """The network with that ID or name, or the only one whose ID begins so.

    Raises NotFound, InvalidParameter (several).
    """
    known = [network for network in networks if scope in ("", network.scope)]
    for network in known:
        if name in (network.id, network.name):
            return network
    beginning = [network for network in known if name and network.id.startswith(name)]
    if len(beginning) > 1:
        raise InvalidParameter(
            f"{len(beginning)} matches found based on ID prefix: network {name} is ambiguous"
        )
    if not beginning:
        raise NotFound(f"network {name} not found")
    return beginning[0]


def with_containers(
    network: NetworkInspect, catalogue: Catalogue, engine_id: str
) -> NetworkInspect:
    """The network with the containers that run in it."""
    found = {
        container.id: _in_network(container, engine_id)
        for container in catalogue.containers.values()
        if container.is_running and network_of(container) == network.name
    }
    return msgspec.structs.replace(network, containers=found)


def _in_network(container: Container, engine_id: str) -> NetworkContainer:
    endpoint = state_of(container).endpoint
    address = f"{endpoint.address}/{endpoint.prefix}" if endpoint and endpoint.address else ""
    return NetworkContainer(
        name=container.name,
        endpoint_id=endpoint_id(container, engine_id),
        mac_address=endpoint.mac if endpoint else "",
        ipv4_address=address,
    )
