"""Pull, push, search, login and distribution on Engine, on Client → Lamina and Client → dockerd."""

from pathlib import Path
from typing import Any

import pytest

from lamina.errors import Forbidden, InvalidParameter, InvalidReference, LaminaError, NotFound
from tests.conformance.engines import Backend, EngineApi, engine_in, load, plain, refused
from tests.real.images import small_image
from tests.real.registry import Registry
from tests.registry.faults import Fault, FaultProxy


async def test_there_and_back(backend: Backend, registry: Registry) -> None:
    name = f"{registry.address}/contract/there-and-back"
    image = small_image("contract")

    async def scenario(api: EngineApi) -> Any:  # noqa: ANN401
        await load(api, image, f"{name}:1", f"{name}:2")
        pushed = await api.image_push(name, x_registry_auth={"username": "", "password": ""})
        assert set(pushed) == {"1", "2"}
        assert pushed["1"] == pushed["2"]
        assert await api.image_push(f"{name}:1") == {"1": pushed["1"]}
        await api.image_delete(image.id, force=True)
        pulled = await api.image_create(from_image=name, tag="1")
        assert pulled == f"{name}:1"
        by_digest = f"{name}@{pushed['1']}"
        assert await api.image_create(from_image=by_digest) == by_digest
        inspected = await api.image_inspect(f"{name}:1")
        assert inspected.id == image.id
        assert inspected.repo_digests == [by_digest]
        asked = await api.distribution_inspect(f"{name}:1")
        assert asked.descriptor.digest == pushed["1"]
        return plain(asked.platforms), plain(inspected, "RepoDigests", "Metadata")

    await backend.agrees(scenario)


async def test_a_registry_is_told_what_the_caller_wants_it_told(
    backend: Backend, registry: Registry
) -> None:
    image, meta = small_image("contract meta"), {"Build": "7", "team": "a b"}

    async def scenario(api: EngineApi) -> None:
        async with FaultProxy(f"127.0.0.1:{registry.port}").running() as proxy:
            name = f"{proxy.address}/contract/meta:1"
            await load(api, image, name)
            await api.image_push(name, x_meta=meta)
            await api.image_delete(image.id, force=True)
            await api.image_create(from_image=name, x_meta=meta)
            assert len(proxy.requests("^PUT .*/manifests/")) == 1
            assert proxy.requests("^GET .*/manifests/")
            for seen in proxy.seen:
                told = seen.headers.get("X-Meta-Build"), seen.headers.get("X-Meta-Team")
                assert told == ("7", "a b"), seen

    await backend.agrees(scenario)


async def test_an_index_that_is_searched_is_told_it_too(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> Any:  # noqa: ANN401
        async with FaultProxy(None).running() as index:
            index.faults = [
                Fault(on="/v1/_ping$", status=200, body=b'{"standalone":true}'),
                Fault(on="/v1/search", status=200, body=b'{"results":[{"name":"a/x"}]}'),
                Fault(on="/v2/$", status=200),
            ]
            found = await api.image_search(f"{index.address}/x", x_meta={"Build": "7"})
            assert index.requests("/v1/search")
            assert [seen for seen in index.seen if seen.headers.get("X-Meta-Build") != "7"] == []
            return plain(found)

    await backend.agrees(scenario)


@pytest.mark.parametrize("meta", [{"a b": "c"}, {"a": "b\r\nAuthorization: c"}, {"": "\udcff"}])
async def test_no_header_is_smuggled_in(tmp_path: Path, meta: dict[str, str]) -> None:
    async with engine_in(tmp_path) as api:
        operation = api.image_create(from_image="localhost:1/x:1", x_meta=meta)
        assert (await refused(operation, InvalidParameter)).startswith("invalid header")
        searched = api.image_search("localhost:1/x", x_meta=meta)
        assert (await refused(searched, InvalidParameter)).startswith("invalid header")


async def test_what_is_refused(backend: Backend, registry: Registry) -> None:
    name = f"{registry.address}/contract/none"

    async def scenario(api: EngineApi) -> list[str]:
        return [
            await refused(drained(api, from_image=name, tag="1"), NotFound),
            await refused(drained(api, from_image=name), NotFound),
            await refused(drained(api, from_image="Bad"), InvalidReference),
            await refused(drained(api, from_image="scratch"), Forbidden),
            await refused(drained(api, from_image=name, platform="banana"), InvalidParameter),
            await refused(pushed(api, f"{name}:1"), LaminaError),
            await refused(api.distribution_inspect(f"{name}:1"), NotFound),
        ]

    await backend.agrees(scenario)


async def test_login(backend: Backend, registry: Registry) -> None:
    async def scenario(api: EngineApi) -> Any:  # noqa: ANN401
        auth = {"username": "me", "password": "secret", "serveraddress": registry.address}
        return plain(await api.system_auth(auth))

    await backend.agrees(scenario)


async def test_search_limits(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> str:
        # Newer daemons begin the sentence with a small letter.
        return (await refused(api.image_search("x", limit=101), InvalidParameter)).lower()

    await backend.agrees(scenario)


async def drained(api: EngineApi, **parameters: str) -> str:
    return await api.image_create(**parameters)  # type: ignore[arg-type]


async def pushed(api: EngineApi, name: str) -> dict[str, str]:
    return await api.image_push(name)
