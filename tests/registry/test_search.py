import json

import pytest

from lamina.errors import CorruptData, InvalidParameter, Unauthorized
from lamina.oci.reference import Reference
from lamina.registry.client import RegistryClient, RegistryConfig
from lamina.registry.connection_error import ConnectionFailed
from lamina.registry.credentials import AuthConfig
from lamina.registry.search import Found, SearchFailed, search
from tests.real.registry import Registry, registry as running_registry
from tests.registry.blobs import Blob
from tests.registry.clock import TestClock
from tests.registry.faults import Fault, FaultProxy
from tests.registry.images import push_image

_RESULTS = {
    "num_results": 2,
    "query": "busy",
    "results": [
        {"name": "busybox", "description": None, "star_count": 3000, "is_official": True},
        {"name": "a/busybox", "description": "x", "star_count": 1, "is_trusted": True},
    ],
}


def _results(**more: object) -> Fault:
    return Fault(on="v1/search", status=200, body=json.dumps({**_RESULTS, **more}).encode())


def _hub(script: FaultProxy) -> RegistryClient:
    config = RegistryConfig(index=f"http://{script.address}")
    return RegistryClient(config, clock=TestClock())


async def test_docker_hub_is_asked_at_its_index(script: FaultProxy) -> None:
    script.faults = [_results()]
    async with _hub(script) as client:
        found = await search(client, "library/busy", limit=10)
    assert found == [
        Found(name="busybox", star_count=3000, is_official=True),
        Found(name="a/busybox", description="x", star_count=1, is_automated=True),
    ]
    (seen,) = script.seen
    assert seen.path == "/v1/search?q=busy&n=10"
    assert seen.headers["X-Docker-Token"] == "true"
    assert "Authorization" not in seen.headers


async def test_a_name_may_be_given_and_more_results_than_wanted_are_dropped(
    script: FaultProxy,
) -> None:
    script.faults = [_results()]
    async with _hub(script) as client:
        who = AuthConfig(username="u", password="p")
        assert len(await search(client, "busy", limit=1, credentials=who)) == 1
    assert script.seen[0].headers["Authorization"] == "Basic dTpw"


async def test_the_index_is_told_what_the_caller_wants_it_told(script: FaultProxy) -> None:
    script.faults = [_results()]
    told = {"X-Meta-Build": "7", "X-Docker-Token": "no"}
    async with _hub(script) as client:
        await search(client, "busy", headers=told)
    headers = script.seen[0].headers
    assert (headers["X-Meta-Build"], headers["X-Docker-Token"]) == ("7", "true")


@pytest.mark.parametrize("limit", [0, 101, -1])
async def test_a_limit_is_a_number_up_to_a_hundred(script: FaultProxy, limit: int) -> None:
    async with _hub(script) as client:
        with pytest.raises(InvalidParameter) as caught:
            await search(client, "x", limit=limit)
    assert str(caught.value) == f"limit {limit} is outside the range of [1, 100]"


async def test_an_index_that_fails_is_told_with_its_status(script: FaultProxy) -> None:
    script.faults = [Fault(on="v1", status=503)]
    async with _hub(script) as client:
        with pytest.raises(SearchFailed, match=r"^unexpected status code 503$"):
            await search(client, "x")


@pytest.mark.parametrize("body", [b"", b"nonsense", b'{"results":[5]}', b"[" * 99_999])
async def test_results_that_are_none_are_told(script: FaultProxy, body: bytes) -> None:
    script.faults = [Fault(on="v1", status=200, body=body)]
    async with _hub(script) as client:
        with pytest.raises(CorruptData, match="error decoding search results"):
            await search(client, "x")


async def test_without_a_network_the_index_is_named() -> None:
    config = RegistryConfig(index="https://index.invalid")
    async with RegistryClient(config, clock=TestClock()) as client:
        with pytest.raises(ConnectionFailed) as caught:
            await search(client, "busybox")
    assert str(caught.value) == (
        'Get "https://index.invalid/v1/search?q=busybox&n=25": '
        "dial tcp: lookup index.invalid: no such host"
    )


async def test_a_private_registrys_index_is_asked_first(
    client: RegistryClient, script: FaultProxy
) -> None:
    script.faults = [Fault(on="GET /v2/$", status=200), _results()]
    found = await search(client, f"{script.address}/busy")
    assert [item.name for item in found] == ["busybox", "a/busybox"]


async def test_a_registry_without_an_index_is_searched_by_its_catalogue(
    client: RegistryClient, registry: Registry
) -> None:
    for name in ("findme/one", "two-findme", "other"):
        repository = await client.repository(Reference.parse(f"{registry.address}/{name}"))
        await push_image(repository, Blob(b"layer"), "v1")
    found = await search(client, f"{registry.address}/FINDME")
    assert [item.name for item in found] == [
        f"{registry.address}/findme/one",
        f"{registry.address}/two-findme",
    ]
    assert len(await search(client, f"{registry.address}/findme", limit=1)) == 1


async def test_a_catalogue_behind_a_password_takes_it(client: RegistryClient) -> None:
    with running_registry(user="u", password="p") as private:
        who = AuthConfig(username="u", password="p")
        repository = await client.repository(
            Reference.parse(f"{private.address}/mine"), credentials=who
        )
        await push_image(repository, Blob(b"layer"), "v1")
        (found,) = await search(client, f"{private.address}/mine", credentials=who)
        assert found.name == f"{private.address}/mine"
        with pytest.raises(Unauthorized):
            await search(client, f"{private.address}/mine")


async def test_a_registry_with_neither_is_told(client: RegistryClient, script: FaultProxy) -> None:
    script.faults = [Fault(on="GET /v2/$", status=200)]
    with pytest.raises(SearchFailed, match="unexpected status code 404"):
        await search(client, f"{script.address}/x")
