from ipaddress import IPv4Address, IPv4Network
from itertools import islice

from lamina.runtime.networks.subnets import (
    Route,
    default_device,
    free_subnets,
    host_routes,
    is_free,
    name_servers,
)

TABLE = """Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
"""


def test_the_kernels_table() -> None:
    routes = host_routes(TABLE)
    assert routes == [
        Route("eth0", IPv4Network("0.0.0.0/0")),
        Route("eth0", IPv4Network("192.0.2.0/24")),
    ]
    assert default_device(routes) == "eth0"
    assert default_device(routes[1:]) == ""


def test_nothing_is_chosen_that_a_route_or_a_name_server_is_in() -> None:
    first, second, third = islice(free_subnets("seed", (), ()), 3)
    taken = Route("vpn0", IPv4Network((first.network_address, 24)))
    server = second.network_address + 1
    assert next(free_subnets("seed", [taken], [server])) == third
    # A route for half of all is meant for what is nowhere else.
    assert next(free_subnets("seed", [Route("vpn0", IPv4Network("0.0.0.0/1"))], ())) == first
    pools = [Route("vpn0", IPv4Network("10.0.0.0/8"))]
    assert next(free_subnets("seed", pools, ())).subnet_of(IPv4Network("172.24.0.0/13"))
    pools += [Route("vpn0", IPv4Network(text)) for text in ("172.16.0.0/12", "192.168.0.0/16")]
    assert list(free_subnets("seed", pools, ())) == []


def test_each_root_has_its_own() -> None:
    firsts = {next(free_subnets(f"lamina-{number}", (), ())) for number in range(20)}
    assert len(firsts) > 15


def test_the_bridges_own_route_is_no_obstacle() -> None:
    subnet = IPv4Network("10.200.0.0/22")
    routes = [Route("bridge", subnet)]
    assert is_free(subnet, routes, but="bridge")
    assert not is_free(subnet, [*routes, Route("other", subnet)], but="bridge")


def test_name_servers() -> None:
    text = "# nameserver 1.1.1.1\nnameserver 10.0.0.1 \nnameserver ::1\nnameserver\nsearch a\n"
    assert name_servers(text) == [IPv4Address("10.0.0.1")]
