"""A mirror as Docker has it: docker-registry as a cache of another registry, read-only."""

from pathlib import Path

import pytest

from lamina.engine import Engine
from lamina.errors import LaminaError
from lamina.registry.client import RegistryConfig
from lamina.registry.hosts import HostRules
from tests.real.registry import Registry, registry as running_registry
from tests.transfer.images_in_registry import image_of, put_image


def mirrored_by(cache: Registry, registry: str) -> RegistryConfig:
    return RegistryConfig(hosts=HostRules(mirrors={registry: [f"http://{cache.address}"]}))


async def test_a_pull_from_docker_hub(tmp_path: Path, other: Engine) -> None:
    """Which cannot be reached from here; nor can, at last, the registry behind the cache."""
    image = image_of(1 << 20, 1000, seed="cached")
    with running_registry() as origin, running_registry(caches=origin.address) as cache:
        digest = await put_image(other, image, f"{origin.address}/library/cached:1")
        config = mirrored_by(cache, "docker.io")
        for number in range(2):
            async with Engine.open(tmp_path / str(number), registries=config) as engine:
                assert await engine.image_create(from_image="cached", tag="1") == "cached:1"
                inspected = await engine.image_inspect("cached:1")
                assert inspected.id == image.id
                assert inspected.repo_digests == [f"cached@{digest}"]
            origin.background.stop()


async def test_pushes_go_around_it(tmp_path: Path, other: Engine, registry: Registry) -> None:
    name = f"{registry.address}/library/around"
    digest = await put_image(other, image_of(1000, seed="around"), f"{name}:1")
    with running_registry(caches=registry.address) as cache:
        config = mirrored_by(cache, registry.address)
        async with Engine.open(tmp_path / "mirrored", registries=config) as engine:
            await engine.image_create(from_image=f"{name}:1")
            for repository in (f"{name}/copy", f"{cache.address}/library/around/copy"):
                await engine.image_tag(f"{name}:1", repo=repository, tag="2")
            assert await engine.image_push(f"{name}/copy") == {"2": str(digest)}
            with pytest.raises(LaminaError, match=r"^unsupported: The operation is unsupported\.$"):
                await engine.image_push(f"{cache.address}/library/around/copy")
