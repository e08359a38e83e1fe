import asyncio
import logging
from dataclasses import replace

from lamina.containers.containers import Containers
from lamina.containers.creating import Beginning
from lamina.containers.intermediate import keep_intermediate
from lamina.models import HostConfig
from lamina.oci.containerconfig import ContainerConfig
from tests.unit.layers.trees import needs_root

pytestmark = needs_root

LOGGER = logging.getLogger("test")

STEP = Beginning(
    id="f" * 64,
    image=None,
    config=ContainerConfig(cmd=("true",), volumes={"/data": {}}),
    host=HostConfig(),
    created=0,
)


async def with_snapshot(containers: Containers) -> Beginning:
    key = containers.workshop.key()
    await containers.workshop.create(key, ())
    return replace(STEP, snapshot=key)


async def test_of_the_same_step_there_is_one_container(containers: Containers) -> None:
    """In builds with a given time; whether one comes after the other, or side by side."""
    snapshots = await containers.workshop.snapshots()
    for together in (1, 2):
        beginnings = [await with_snapshot(containers) for _ in range(together)]
        await asyncio.gather(*(keep_intermediate(containers, each) for each in beginnings))
        kept = containers.find(STEP.id)
        assert kept.snapshot in {each.snapshot for each in beginnings}
        assert await snapshots.keys() == [kept.snapshot]
        assert {path.name for path in containers.volumes.root.iterdir()} == (
            containers.used_volumes()
        )
