from types import SimpleNamespace
from typing import cast

import pytest

from lamina.api.exchange import Exchange
from lamina.api.router import Handler, PageNotFound, Route, Router
from lamina.api.versions import NEWEST, ApiVersion, UnsupportedVersion


def handler() -> Handler:
    async def answer(_: Exchange) -> None:
        raise AssertionError("not called here")

    return answer


LIST, INSPECT, DELETE, GET_ALL, GET, PRUNE = (handler() for _ in range(6))
ROUTER = Router(
    [
        Route("GET", "/images/json", LIST),
        Route("GET", "/images/{name}/json", INSPECT),
        Route("DELETE", "/images/{name}", DELETE),
        Route("GET", "/images/get", GET_ALL),
        Route("GET", "/images/{name}/get", GET),
        Route("POST", "/images/prune", PRUNE, ApiVersion(1, 25)),
    ]
)


def asked(method: str, path: str) -> Exchange:
    # What the router reads and writes of an exchange, which is otherwise bound to a connection.
    request = SimpleNamespace(method=method, path=path, name="", version=NEWEST)
    return cast("Exchange", request)


@pytest.mark.parametrize(
    ("method", "path", "expected", "name"),
    [
        ("GET", "/images/json", LIST, ""),
        ("GET", "/v1.24/images/json", LIST, ""),
        ("GET", "/images/busybox/json", INSPECT, "busybox"),
        (
            "GET",
            "/v1.44/images/host:5000/a/b:tag@sha256:00/json",
            INSPECT,
            "host:5000/a/b:tag@sha256:00",
        ),
        ("GET", "/images/json/json", INSPECT, "json"),
        ("DELETE", "/images/a/b:c", DELETE, "a/b:c"),
        ("DELETE", "/images/", DELETE, ""),
        ("GET", "/images/https://docker.io/x/../y/json", INSPECT, "https://docker.io/x/../y"),
        ("DELETE", "/images/json", DELETE, "json"),
        ("GET", "/images/get", GET_ALL, ""),
        ("GET", "/images/a/get", GET, "a"),
        ("POST", "/v1.25/images/prune", PRUNE, ""),
    ],
)
def test_a_path_finds_its_handler(method: str, path: str, expected: Handler, name: str) -> None:
    exchange = asked(method, path)
    assert ROUTER.find(exchange) is expected
    assert expected is not INSPECT or exchange.name == name
    assert expected is not DELETE or exchange.name == name


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", ""),
        ("GET", "/images"),
        ("GET", "/images//json"),
        ("GET", "//images/json"),
        ("GET", "/nosuch"),
        ("GET", "/v1.44/nosuch"),
        ("GET", "/v1.99/nosuch"),
        ("GET", "/v1.44"),
        ("GET", "/vx/images/json"),
        ("GET", "/v1.x/images/json"),
        ("GET", "/v1.٤٤/images/json"),
        ("GET", "/v" + "1" * 5000 + "/images/json"),
        ("PUT", "/images/json"),
        ("HEAD", "/images/json"),
        ("POST", "/v1.24/images/prune"),
    ],
)
def test_other_paths_and_methods_are_not_found(method: str, path: str) -> None:
    with pytest.raises(PageNotFound, match=r"^page not found$"):
        ROUTER.find(asked(method, path))


def test_the_version_of_a_path_is_negotiated() -> None:
    exchange = asked("GET", "/v1.30/images/json")
    ROUTER.find(exchange)
    assert (exchange.version, exchange.path) == (ApiVersion(1, 30), "/images/json")
    with pytest.raises(UnsupportedVersion, match="too new"):
        ROUTER.find(asked("GET", "/v1.99/images/json"))


def test_a_path_without_version_means_the_newest() -> None:
    exchange = asked("GET", "/images/json")
    ROUTER.find(exchange)
    assert exchange.version == NEWEST
