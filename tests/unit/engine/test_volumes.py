import pytest

from lamina.engine import Engine
from lamina.errors import InvalidFilter, NotFound
from lamina.models import HostConfig
from lamina.oci.containerconfig import ContainerConfig
from tests.real import archives
from tests.real.images import busybox_image, tar_of
from tests.unit.engine.sources import load
from tests.unit.layers.trees import needs_root

pytestmark = needs_root


async def create(engine: Engine, name: str, path: str, *, volumes_from: str = "") -> str:
    host = HostConfig(network_mode="none", volumes_from=(volumes_from,) if volumes_from else None)
    config = ContainerConfig(image="busybox:test", volumes={path: {}})
    return (await engine.container_create(config, host_config=host, name=name)).id


async def test_volumes(engine: Engine) -> None:
    await load(engine, tar_of(archives.docker_archive((busybox_image(), ["busybox:test"]))))
    await create(engine, "one", "/a")
    await create(engine, "two", "/b", volumes_from="one")
    await engine.put_container_archive("one", [tar_of({"x": b"12345", "y": b"6"})], path="/a")
    first, second = (await engine.volume_list()).volumes
    mounts = (await engine.container_inspect("one")).mounts
    assert [mount.name for mount in mounts] == [first.name]
    assert (first.driver, first.scope, first.mountpoint) == ("local", "local", mounts[0].source)
    assert await engine.volume_inspect(second.name) == second
    used = (await engine.system_data_usage(types=["volume"])).volumes
    assert used is not None
    told = [(one.name, one.usage_data) for one in used]
    assert [name for name, _ in told] == [first.name, second.name]
    assert [(usage.ref_count, usage.size) for _, usage in told if usage] == [(2, 6), (1, 0)]
    await engine.container_delete("two")
    assert (await engine.volume_list()).volumes == [first]


async def test_filters(engine: Engine) -> None:
    await load(engine, tar_of(archives.docker_archive((busybox_image(), ["busybox:test"]))))
    await create(engine, "one", "/a")
    [volume] = (await engine.volume_list()).volumes
    for name, value, count in (
        ("name", volume.name[:5], 1),
        ("name", "zzz", 0),
        ("driver", "local", 1),
        ("driver", "nfs", 0),
        ("label", "x", 0),
        ("dangling", "true", 0),
        ("dangling", "false", 1),
    ):
        found = await engine.volume_list(filters={name: value})
        assert len(found.volumes) == count, (name, value)
    with pytest.raises(InvalidFilter, match="invalid filter 'x'"):
        await engine.volume_list(filters={"x": "y"})
    with pytest.raises(NotFound, match="get nothing: no such volume"):
        await engine.volume_inspect("nothing")
