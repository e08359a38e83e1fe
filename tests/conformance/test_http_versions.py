"""Each version of the API has its own shapes; above 1.41 there is no dockerd here to compare with.

The shapes are those of the Engine API's published schemas and its version history.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.conformance.stock import DANGLING, PARENT, PLAIN
from tests.conformance.wire import Ask, Heard, assert_headers_of_an_engine, filtered, q, send

Sockets = tuple[Path, Path]


def ask(sockets: Sockets, version: str, target: str) -> Heard:
    heard = send(sockets[1], Ask("GET", f"!/v{version}{target}"))
    assert heard.status == 200, heard.body
    assert_headers_of_an_engine(heard)
    return heard


def listed(sockets: Sockets, version: str, query: str = "") -> dict[str, Any]:
    return {image["Id"]: image for image in ask(sockets, version, f"/images/json{query}").json()}


@pytest.mark.parametrize("version", ["1.24", "1.40", "1.41", "1.42"])
def test_none_below_1_43(stocked: Sockets, version: str) -> None:
    image = listed(stocked, version)[DANGLING.id]
    assert (image["RepoTags"], image["RepoDigests"]) == (["<none>:<none>"], ["<none>@<none>"])


@pytest.mark.parametrize("version", ["1.43", "1.44"])
def test_empty_lists_from_1_43(stocked: Sockets, version: str) -> None:
    image = listed(stocked, version)[DANGLING.id]
    assert (image["RepoTags"], image["RepoDigests"]) == ([], [])


def test_virtual_size_below_1_44(stocked: Sockets) -> None:
    for version, there in (("1.41", True), ("1.43", True), ("1.44", False)):
        image = listed(stocked, version)[PLAIN.id]
        inspected = ask(stocked, version, "/images/stock:1/json").json()
        assert ("VirtualSize" in image) == ("VirtualSize" in inspected) == there
        if there:
            assert image["VirtualSize"] == image["Size"] == inspected["VirtualSize"]


def test_shared_size_from_1_42(stocked: Sockets) -> None:
    old, new = (listed(stocked, version, q(shared_size=1)) for version in ("1.41", "1.42"))
    assert {image["SharedSize"] for image in old.values()} == {-1}
    assert new[PLAIN.id]["SharedSize"] == 1013  # its base is also the base of others
    assert {image["SharedSize"] for image in listed(stocked, "1.44").values()} == {-1}


def test_until_lists_what_is_older(stocked: Sockets) -> None:
    known = listed(stocked, "1.44", filtered(until="2024-01-02T00:00:00Z"))
    assert PLAIN.id in known
    assert DANGLING.id not in known


def test_disk_usage_by_type_from_1_42(stocked: Sockets) -> None:
    usage = ask(stocked, "1.44", "/system/df?type=container").json()
    assert not usage.get("Images")
    assert ask(stocked, "1.44", "/system/df?type=image").json()["Images"]


def test_a_missing_time_below_and_from_1_44(stocked: Sockets) -> None:
    assert ask(stocked, "1.43", "/images/bare:1/json").json()["Created"] == "0001-01-01T00:00:00Z"


def test_unversioned_is_the_newest(stocked: Sockets) -> None:
    newest = send(stocked[1], Ask("GET", "!/version")).json()["ApiVersion"]
    for path in ("/images/json?all=1", "/images/stock:1/json", "/images/child:1/history"):
        assert send(stocked[1], Ask("GET", f"!{path}")).body == ask(stocked, newest, path).body


def test_routes_that_a_version_lacks(stocked: Sockets) -> None:
    heard = send(stocked[1], Ask("POST", "!/v1.24/images/prune"))
    assert (heard.status, heard.message) == (404, "page not found")


def test_parents_are_only_among_all(stocked: Sockets) -> None:
    assert PARENT.id not in listed(stocked, "1.44")
    assert PARENT.id in listed(stocked, "1.44", "?all=1")
