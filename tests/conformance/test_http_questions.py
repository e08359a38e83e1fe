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
from tests.conformance.wire import Ask, assert_alike, comparable, filtered, send, without

Sockets = tuple[Path, Path]


def assert_same(sockets: Sockets, ask: Ask, *, leave: tuple[str, ...] = ()) -> None:
    docker, lamina = (send(socket, ask) for socket in sockets)
    expected = comparable(modern(ask, docker), lambda value: without(value, *leave))
    assert_alike(comparable(lamina, lambda value: without(value, *leave)), expected)


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
    docker, lamina = (send(socket, ask) for socket in stocked)
    expected, got = comparable(modern(ask, docker)), comparable(lamina)
    if docker.status == 404 and not docker.header("Api-Version"):
        # dockerd's router answers alone, and leaves out what its other answers carry.
        got["headers"] = {"content-type": got["headers"]["content-type"]}
    assert_alike(got, expected)


@pytest.mark.parametrize("path", ["/images//json", "/images/https://docker.io/stock/json"])
def test_empty_parts_of_a_path_are_no_redirect(stocked: Sockets, path: str) -> None:
    # dockerd's router sends a 301 to the cleaned path, which for an image name is another name.
    docker, lamina = (send(socket, Ask("GET", path)) for socket in stocked)
    assert docker.status == 301
    assert lamina.status in {400, 404}


def test_an_unknown_method_is_refused(stocked: Sockets) -> None:
    # dockerd says that there is no such page.
    assert send(stocked[1], Ask("BREW", "/images/json")).status in {400, 404, 405}


def test_a_name_that_is_no_utf8(stocked: Sockets) -> None:
    # Go's ToLower changes such bytes, so that dockerd calls them upper case.
    docker, lamina = (send(s, Ask("GET", "/images/st%FFck/history")) for s in stocked)
    assert docker.status == lamina.status == 400
    assert docker.message.startswith("invalid reference format")
    assert lamina.message.startswith("invalid reference format")


def test_dangling_and_not_dangling(stocked: Sockets) -> None:
    # 20.10 takes one of the two as a Go map gives them; from 23.0 on they are refused.
    heard = send(stocked[1], Ask("GET", "/images/json" + filtered(dangling=["true", "false"])))
    assert (heard.status, heard.message) == (400, "invalid filter 'dangling=[true false]'")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/_ping", "!/_ping", "!/v1.24/_ping", "!/v1.40/_ping"])
def test_ping(stocked: Sockets, method: str, path: str) -> None:
    docker, lamina = (comparable(send(s, Ask(method, path))) for s in stocked)
    # The builder that clients without a choice of their own should use; swarm since 22.06.
    assert lamina["headers"].pop("builder-version") == "1"
    assert lamina["headers"].pop("swarm") == "inactive"
    assert_alike(lamina, docker)


@pytest.mark.parametrize("version", ["/v1.24", "/v1.25", "/v1.30", "/v1.40", "/v1.41"])
def test_the_shapes_of_old_versions(stocked: Sockets, version: str) -> None:
    for path in ("/images/json", "/images/stock:1/history"):
        assert_same(stocked, Ask("GET", f"!{version}{path}"))
    ask = Ask("GET", f"!{version}/images/stock:1/json")
    assert_same(stocked, ask, leave=("GraphDriver",))


def test_the_old_filter_by_name(stocked: Sockets) -> None:
    # 20.10 knows `filter` below 1.41, today's daemons below 1.25.
    assert_same(stocked, Ask("GET", "!/v1.24/images/json?filter=stock:1"))


def test_disk_usage(stocked: Sockets) -> None:
    docker, lamina = (send(s, Ask("GET", "/system/df")) for s in stocked)
    expected = docker.json()
    # Left out where it is 0 since 23.0, as are null lists.
    assert expected.pop("BuilderSize") == 0
    expected["BuildCache"] = []
    assert_alike(lamina.json(), expected)


def test_events_of_a_time_before_all(stocked: Sockets) -> None:
    assert_same(stocked, Ask("GET", "/events?since=1&until=2"))


_VERSIONS_REFUSED = ["1", "1.0", "1.9", "1.11", "0.1", "1.99", "2.0", "9.9", "10.24"]


@pytest.mark.parametrize("version", _VERSIONS_REFUSED)
def test_versions_out_of_range(stocked: Sockets, version: str) -> None:
    docker, lamina = (send(s, Ask("GET", f"!/v{version}/images/json")) for s in stocked)
    assert (lamina.status, lamina.reason) == (docker.status, docker.reason) == (400, "Bad Request")
    # Each names its own limits: 20.10 goes from 1.12 to 1.41.
    limits = send(stocked[1], Ask("GET", "!/version")).json()
    expected = docker.message.replace("1.12,", f"{limits['MinAPIVersion']},")
    expected = expected.replace("version is 1.41", f"version is {limits['ApiVersion']}")
    assert lamina.message == expected
