import pytest

from lamina.engine.networks import filter_networks, find_network, predefined_networks
from lamina.errors import InvalidFilter, InvalidParameter, NotFound
from lamina.image_api import Filters

NETWORKS = predefined_networks("engine", "2024-01-01T00:00:00Z", bridge=True)


def test_what_there_is() -> None:
    assert [network.name for network in NETWORKS] == ["bridge", "host", "none"]
    alone = predefined_networks("engine", "", bridge=False)
    assert [network.name for network in alone] == ["host", "none"]
    assert [network.id for network in alone] == [network.id for network in NETWORKS[1:]]
    other = predefined_networks("other", "", bridge=True)
    assert not {network.id for network in other} & {network.id for network in NETWORKS}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (None, "bridge host none"),
        ({"driver": "null"}, "none"),
        ({"driver": ["host", "bridge"]}, "bridge host"),
        ({"name": "o"}, "host none"),
        ({"name": ["^bri", "^none$"]}, "bridge none"),
        ({"name": "e$"}, "bridge none"),
        # An engine that goes back over the text would be at this for ever.
        ({"name": "(a+)+$"}, ""),
        ({"id": NETWORKS[1].id[:20]}, "host"),
        ({"scope": "swarm"}, ""),
        ({"label": "x"}, ""),
        ({"type": "builtin"}, "bridge host none"),
        ({"type": "custom"}, ""),
        ({"dangling": True}, ""),
        ({"dangling": False}, "bridge host none"),
    ],
)
def test_filters(filters: Filters | None, expected: str) -> None:
    found = filter_networks(NETWORKS, filters)
    assert " ".join(network.name for network in found) == expected


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"x": "y"}, "invalid filter 'x'"),
        ({"type": "y"}, "invalid filter: 'type'='y'"),
        ({"dangling": "y"}, "invalid value for filter 'dangling', must be"),
    ],
)
def test_filters_that_are_none(filters: Filters, message: str) -> None:
    with pytest.raises(InvalidFilter, match=message):
        filter_networks(NETWORKS, filters)


def test_finding_one() -> None:
    host = NETWORKS[1]
    for name in ("host", host.id, host.id[:12]):
        assert find_network(NETWORKS, name, "local") is host
    for name, scope in (("", ""), ("x", ""), ("host", "swarm")):
        with pytest.raises(NotFound, match=f"network {name} not found"):
            find_network(NETWORKS, name, scope)
    with pytest.raises(
        InvalidParameter, match=r"^2 matches found based on ID prefix: network \w+ is"
    ):
        find_network([host, NETWORKS[2], host], host.id[:5])
