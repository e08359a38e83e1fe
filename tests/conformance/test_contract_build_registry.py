"""Builds whose bases are in a registry, on three backends."""

import re

from lamina.image_api import ImageApi
from tests.conformance.builds import Ids, Parameters, context, transcript
from tests.conformance.engines import Backend, EngineApi, load
from tests.real.images import Image, small_image
from tests.real.registry import Registry
from tests.registry.token_registry import PASSWORD, USER, token_registry

_PROGRESS = re.compile(r"Downloading|Extracting|Waiting|Verifying")


async def published(api: ImageApi, image: Image, name: str) -> None:
    """Have an image in the registry, and not here."""
    await load(api, image, name)
    await api.image_push(name)
    await api.image_delete(image.id, force=True)


async def test_a_base_is_pulled(backend: Backend, registry: Registry) -> None:
    name = f"{registry.address}/contract/base:1"
    dockerfile = f"FROM {name} AS one\nENV a=b\nFROM one\nCOPY --from={name} /etc/hostname /h"

    async def scenario(api: EngineApi) -> object:
        await published(api, small_image("base of a build"), name)
        first, _ = await transcript(api, context(dockerfile), Ids(), {})
        again, _ = await transcript(api, context(dockerfile), Ids(), {})
        fresh: Parameters = {"pull": True}
        pulled, image_id = await transcript(api, context(f"FROM {name}\nENV c=d"), Ids(), fresh)
        assert image_id
        return first, again, pulled

    await backend.agrees(scenario)


async def test_a_base_that_is_not_there(backend: Backend, registry: Registry) -> None:
    name = f"{registry.address}/contract/nothing:1"

    async def scenario(api: EngineApi) -> object:
        said = []
        for dockerfile in (f"FROM {name}", f"FROM scratch\nCOPY --from={name} /a /b"):
            lines, image_id = await transcript(api, context(dockerfile), Ids(), {})
            assert not image_id
            said.append(lines)
        return said

    await backend.agrees(scenario)


async def test_a_base_that_needs_a_login(backend: Backend) -> None:
    """The credentials come in the configuration of all registries that a client sends."""
    right, wrong = ({"username": USER, "password": word} for word in (PASSWORD, "wrong"))

    async def scenario(api: EngineApi) -> object:
        async with token_registry() as (address, server):
            name = f"{address}/private/base:1"
            await load(api, small_image("behind a login"), name)
            await api.image_push(name, x_registry_auth=right)
            await api.image_delete(name, force=True)
            server.asked.clear()
            said = []
            for config in ({}, {address: wrong}, {"other.example": right}, {address: right}):
                body = context(f"FROM {name}\nENV a=b")
                parameters = {"x_registry_config": config}
                lines, _ = await transcript(api, body, Ids(), parameters)
                said.append([line.replace(address, "REGISTRY") for line in lines])
            assert said[-1][-1].startswith("Successfully built")
            scopes = [query.get("scope") for _, query in server.asked]
        return said, scopes

    await backend.agrees(scenario)
