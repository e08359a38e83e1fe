"""Requests that change nothing: both servers must answer the same, byte for byte where they can."""

from pathlib import Path

import pytest

from tests.conformance.differences import modern
from tests.conformance.requests import (
    EVENTS_REFUSED,
    FILTERS_REFUSED,
    FOUND,
    GETS_REFUSED,
    IMPORTS_REFUSED,
    LISTS,
    MISSING,
    PRUNES_REFUSED,
    TAGS_REFUSED,
    UNKNOWN_PATHS,
    Name,
)
from tests.conformance.wire import Ask, comparable, send, without

Sockets = tuple[Path, Path]


def assert_same(sockets: Sockets, ask: Ask, *, leave: tuple[str, ...] = ()) -> None:
    docker, lamina = (send(socket, ask) for socket in sockets)
    expected = comparable(modern(ask, docker), lambda value: without(value, *leave))
    assert comparable(lamina, lambda value: without(value, *leave)) == expected


@pytest.mark.parametrize("name", [*FOUND, *MISSING], ids=str)
def test_inspect(stocked: Sockets, name: Name) -> None:
    # Where the files lie is each engine's own affair.
    assert_same(stocked, Ask("GET", f"/images/{name.text}/json"), leave=("GraphDriver",))


@pytest.mark.parametrize("name", [*FOUND, *MISSING], ids=str)
def test_history(stocked: Sockets, name: Name) -> None:
    assert_same(stocked, Ask("GET", f"/images/{name.text}/history"))


@pytest.mark.parametrize("name", [*FOUND, *MISSING], ids=str)
def test_tag_with_a_bad_name(stocked: Sockets, name: Name) -> None:
    # The image is looked up first, so that both kinds of answers come.
    assert_same(stocked, Ask("POST", f"/images/{name.text}/tag?repo=-"))


@pytest.mark.parametrize("name", MISSING, ids=str)
def test_delete_what_is_not_there(stocked: Sockets, name: Name) -> None:
    assert_same(stocked, Ask("DELETE", f"/images/{name.text}"))


@pytest.mark.parametrize("query", LISTS)
def test_list(stocked: Sockets, query: str) -> None:
    assert_same(stocked, Ask("GET", f"/images/json{query}"))


@pytest.mark.parametrize("query", FILTERS_REFUSED)
def test_list_refuses(stocked: Sockets, query: str) -> None:
    assert_same(stocked, Ask("GET", f"/images/json{query}"))


@pytest.mark.parametrize("query", PRUNES_REFUSED)
def test_prune_refuses(stocked: Sockets, query: str) -> None:
    assert_same(stocked, Ask("POST", f"/images/prune{query}"))


@pytest.mark.parametrize("target", [*TAGS_REFUSED, *IMPORTS_REFUSED])
def test_post_refuses(stocked: Sockets, target: str) -> None:
    assert_same(stocked, Ask("POST", target))


@pytest.mark.parametrize("target", [*GETS_REFUSED, *EVENTS_REFUSED])
def test_get_refuses(stocked: Sockets, target: str) -> None:
    assert_same(stocked, Ask("GET", target))


@pytest.mark.parametrize("ask", UNKNOWN_PATHS, ids=str)
def test_paths_and_methods(stocked: Sockets, ask: Ask) -> None:
    assert_same(stocked, ask)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/_ping", "!/_ping", "!/v1.24/_ping", "!/v1.40/_ping"])
def test_ping(stocked: Sockets, method: str, path: str) -> None:
    assert_same(stocked, Ask(method, path))


@pytest.mark.parametrize("version", ["/v1.24", "/v1.25", "/v1.30", "/v1.40", "/v1.41"])
def test_the_shapes_of_old_versions(stocked: Sockets, version: str) -> None:
    for path in ("/images/json", "/images/json?filter=stock:1", "/images/stock:1/history"):
        assert_same(stocked, Ask("GET", f"!{version}{path}"))
    ask = Ask("GET", f"!{version}/images/stock:1/json")
    assert_same(stocked, ask, leave=("GraphDriver",))


def test_disk_usage(stocked: Sockets) -> None:
    assert_same(stocked, Ask("GET", "/system/df"))


def test_events_of_a_time_before_all(stocked: Sockets) -> None:
    assert_same(stocked, Ask("GET", "/events?since=1&until=2"))


_VERSIONS_REFUSED = ["1.0", "1.9", "1.11", "0.1", "1.99", "2.0", "9.9", "10.24"]


@pytest.mark.parametrize("version", _VERSIONS_REFUSED)
def test_versions_out_of_range(stocked: Sockets, version: str) -> None:
    docker, lamina = (send(s, Ask("GET", f"!/v{version}/images/json")) for s in stocked)
    assert (lamina.status, lamina.reason) == (docker.status, docker.reason) == (400, "Bad Request")
    # Each names its own limits: 20.10 goes from 1.12 to 1.41.
    api = lamina.header("Api-Version") or ""
    expected = docker.message.replace("version is 1.12", "version is 1.24")
    expected = expected.replace("version is 1.41", f"version is {api}")
    assert lamina.message == expected
