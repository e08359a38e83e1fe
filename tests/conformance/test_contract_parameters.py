"""Every parameter of every operation, at least once, on each of the three backends.

What they do in all their forms is told by the other modules; here none is forgotten.
"""

import asyncio
import io
import json
import tarfile
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from lamina import Client, Engine
from lamina.errors import InvalidParameter
from lamina.models import ImageBuildOutput
from lamina.oci.containerconfig import ContainerConfig
from lamina.oci.platform import host
from lamina.progress import BuildArchive
from tests.conformance.builds import Ids, context, transcript, with_busybox
from tests.conformance.engines import Backend, EngineApi, load, names_of, plain, saved
from tests.conformance.parameters import noting
from tests.conformance.stock import DANGLING, LABELLED, MIDDLE, PLAIN, family_archive
from tests.conformance.wire import Ask, q, send
from tests.operations import OPERATIONS
from tests.real.images import file, layer, small_image
from tests.real.registry import Registry
from tests.registry.faults import Fault, FaultProxy

Scenario = Callable[..., Awaitable[Any]]
"""Takes an engine, and a registry if it needs one."""


@dataclass(frozen=True)
class Case:
    """A scenario, and the parameters of an operation that it uses."""

    operation: str
    parameters: frozenset[str]
    scenario: Scenario
    needs_registry: bool = False


CASES: Final[dict[str, Case]] = {}


def case(operation: str, *parameters: str, registry: bool = False) -> Callable[[Scenario], None]:
    """Say what a scenario uses."""

    def add(scenario: Scenario) -> None:
        name = f"{operation}: {', '.join(parameters)}"
        CASES[name] = Case(operation, frozenset(parameters), scenario, registry)

    return add


@pytest.mark.parametrize("operation", OPERATIONS)
def test_none_is_forgotten(operation: str) -> None:
    used = [one.parameters for one in CASES.values() if one.operation == operation]
    assert frozenset().union(*used) == set(OPERATIONS[operation].parameters)


@pytest.mark.parametrize("name", CASES)
async def test_parameters(backend: Backend, name: str, registry: Registry) -> None:
    one = CASES[name]

    async def scenario(api: EngineApi) -> object:
        watched, noted = noting(api)
        given = (watched, registry) if one.needs_registry else (watched,)
        result = await one.scenario(*given)
        assert noted[one.operation] >= one.parameters
        return result

    await backend.agrees(scenario)


@case("image_list", "all", "filters", "digests")
async def _(api: EngineApi) -> object:
    await api.image_load(io.BytesIO(family_archive()), quiet=True)
    found = await api.image_list(all=True, filters={"dangling": False}, digests=True)
    return plain(found)


@case("image_list", "shared_size")
async def _(api: EngineApi) -> None:
    # API 1.42 has it; dockerd 20.10 speaks 1.41 at most and takes no notice.
    await api.image_load(io.BytesIO(family_archive()), quiet=True)
    shared = {image.shared_size for image in await api.image_list(shared_size=True)}
    assert shared == {-1} or min(shared) >= 0


@case("image_inspect", "name")
async def _(api: EngineApi) -> object:
    await load(api, LABELLED, "a:1")
    return plain(await api.image_inspect("a:1"))


@case("image_history", "name")
async def _(api: EngineApi) -> object:
    await load(api, LABELLED, "a:1")
    return plain(await api.image_history("a:1"))


@case("image_tag", "name", "repo", "tag")
async def _(api: EngineApi) -> object:
    await load(api, PLAIN, "a:1")
    await api.image_tag("a:1", repo="b", tag="2")
    return await names_of(api)


@case("image_delete", "name", "force")
async def _(api: EngineApi) -> object:
    await load(api, PLAIN, "a:1", "b:1")
    return plain(await api.image_delete(PLAIN.id, force=True))


@case("image_delete", "name", "noprune")
async def _(api: EngineApi) -> object:
    await api.image_load(io.BytesIO(family_archive()), quiet=True)
    deleted = plain(await api.image_delete("child:1", noprune=True))
    assert MIDDLE.id in await names_of(api)
    return deleted


@case("image_prune", "filters")
async def _(api: EngineApi) -> object:
    await load(api, PLAIN, "a:1")
    await load(api, DANGLING)
    pruned = await api.image_prune(filters={"dangling": False, "label!": "no"})
    # In which order is a matter of chance there.
    return sorted(map(str, pruned.images_deleted or ())), pruned.space_reclaimed


@case("image_load", "images_tarball", "quiet")
async def _(api: EngineApi) -> object:
    return await load(api, PLAIN, "a:1")


@case("image_get", "name")
async def _(api: EngineApi) -> object:
    await load(api, PLAIN, "a:1")
    archive = await saved(api, "a:1")
    await api.image_delete("a:1")
    return await api.image_load(io.BytesIO(archive))


@case("image_get_all", "names")
async def _(api: EngineApi) -> object:
    await load(api, PLAIN, "a:1")
    await load(api, LABELLED, "b:1")
    archive = await saved(api, ["a:1", "b:1"])
    for name in ("a:1", "b:1"):
        await api.image_delete(name)
    return sorted(await api.image_load(io.BytesIO(archive)))


@case(
    "image_create",
    "from_src",
    "input_image",
    "repo",
    "tag",
    "message",
    "changes",
    "platform",
)
async def _(api: EngineApi) -> object:
    image_id = await api.image_create(
        from_src="-",
        input_image=io.BytesIO(layer(file("a", "a"))),
        repo="in",
        tag="1",
        message="why",
        changes=["ENV A=1", "CMD a"],
        platform=str(host()),
    )
    found = await api.image_inspect("in:1")
    assert found.id == image_id
    return plain(found, "Id", "Created", "DockerVersion", "Metadata", "ContainerConfig")


@case("image_create", "from_image", "tag", "x_registry_auth", "platform", registry=True)
async def _(api: EngineApi, registry: Registry) -> object:
    name = f"{registry.address}/parameters/pulled"
    image = small_image("parameters pulled")
    await load(api, image, f"{name}:1")
    await api.image_push(name, tag="1")
    await api.image_delete(image.id, force=True)
    auth = {"username": "me", "password": "secret"}
    return await api.image_create(
        from_image=name, tag="1", x_registry_auth=auth, platform=str(host())
    )


@case("image_push", "name", "tag", "x_registry_auth", registry=True)
async def _(api: EngineApi, registry: Registry) -> object:
    name = f"{registry.address}/parameters/pushed"
    await load(api, small_image("parameters pushed"), f"{name}:1", f"{name}:2")
    pushed = await api.image_push(name, tag="2", x_registry_auth={"username": "me"})
    return sorted(pushed)


@case("image_search", "term", "limit", "filters")
async def _(api: EngineApi) -> object:
    results = [
        {"name": "a/x", "description": "", "star_count": 9, "is_official": False},
        {"name": "b/x", "description": "", "star_count": 1, "is_official": False},
    ]
    async with FaultProxy(None).running() as index:
        index.faults = [
            Fault(on="/v1/_ping$", status=200, body=b'{"standalone":true}', times=9),
            Fault(
                on="/v1/search", status=200, body=json.dumps({"results": results}).encode(), times=9
            ),
            Fault(on="/v2/$", status=200, times=9),
        ]
        found = await api.image_search(f"{index.address}/x", limit=7, filters={"stars": "5"})
        assert [seen for seen in index.requests("/v1/search") if "n=7" in str(seen)]
    return [(one.name, one.star_count) for one in found]


async def created_container(api: EngineApi) -> str:
    """The ID of a container that was made of ``busybox``."""
    await with_busybox(api)
    config = ContainerConfig(image="busybox", cmd=("true",))
    if isinstance(api, Engine):
        return (await api.container_create(config)).id
    # The client is one of images; whoever has containers has made them otherwise.
    assert isinstance(api, Client)
    body = json.dumps({"Image": "busybox", "Cmd": ["true"]}).encode()
    ask = Ask("POST", f"/containers/create{q()}", body, {"Content-Type": "application/json"})
    heard = send(Path(api.host.removeprefix("unix://")), ask)
    return str(json.loads(heard.body)["Id"])


@case(
    "image_commit",
    "container",
    "repo",
    "tag",
    "comment",
    "author",
    "pause",
    "changes",
    "container_config",
)
async def _(api: EngineApi) -> object:
    made = await api.image_commit(
        await created_container(getattr(api, "_api", api)),
        repo="committed",
        tag="1",
        comment="why",
        author="me",
        pause=False,
        changes=["ENV A=1"],
        container_config=ContainerConfig(cmd=("false",)),
    )
    found = await api.image_inspect("committed:1")
    assert found.id == made.id
    assert (found.comment, found.author) == ("why", "me")
    assert found.config is not None
    return found.config.cmd, found.config.env


@case("build_prune", "keep_storage", "all", "filters")
async def _(api: EngineApi) -> object:
    filters = {"unused-for": "1h", "type": "exec.cachemount"}
    return plain(await api.build_prune(keep_storage=1, all=True, filters=filters))


async def said(api: EngineApi, dockerfile: str, **parameters: object) -> list[str]:
    """What a build on ``busybox`` says."""
    await with_busybox(api)
    lines, _ = await transcript(api, context(dockerfile), Ids(), parameters)
    return lines


@case("image_build", "input_stream", "t", "q", "labels", "buildargs", "target", "content_type")
async def _(api: EngineApi) -> object:
    lines = await said(
        api,
        "FROM busybox AS one\nARG A\nENV A=$A\nFROM one AS two\nENV B=b",
        t=["built:1", "built:2"],
        q=True,
        labels={"l": "1"},
        buildargs={"A": "a"},
        target="one",
        content_type="application/octet-stream",
    )
    found = await api.image_inspect("built:2")
    assert found.config is not None
    return lines, sorted(found.repo_tags), found.config.env, found.config.labels


@case("image_build", "dockerfile", "nocache", "rm", "forcerm")
async def _(api: EngineApi) -> object:
    await with_busybox(api)
    files = {"other/Dockerfile": "FROM busybox\nENV A=b"}
    parameters = {"dockerfile": "other/Dockerfile", "nocache": True, "rm": False, "forcerm": True}
    lines = []
    for _ in range(2):
        told, _ = await transcript(api, context("FROM nothing", files), Ids(), parameters)
        lines.append(told)
    return lines


@case(
    "image_build",
    "extrahosts",
    "memory",
    "memswap",
    "cpushares",
    "cpusetcpus",
    "cpuperiod",
    "cpuquota",
    "shmsize",
    "networkmode",
)
async def _(api: EngineApi) -> object:
    limits = " ".join(
        f"/sys/fs/cgroup/{name}"
        for name in (
            "memory/memory.limit_in_bytes",
            "cpu/cpu.shares",
            "cpuset/cpuset.cpus",
            "cpu/cpu.cfs_period_us",
            "cpu/cpu.cfs_quota_us",
        )
    )
    return await said(
        api,
        f"FROM busybox\nRUN cat {limits}; df -k /dev/shm | tail -n 1; tail -n 1 /etc/hosts",
        extrahosts=["a.b:1.2.3.4"],
        memory=64 << 20,
        memswap=-1,
        cpushares=512,
        cpusetcpus="0",
        cpuperiod=50_000,
        cpuquota=25_000,
        shmsize=1 << 20,
        networkmode="none",
    )


@case("image_build", "remote")
async def _(api: EngineApi) -> object:
    await with_busybox(api)
    async with FaultProxy(None).running() as server:
        server.faults = [
            Fault(on="/Dockerfile$", status=200, body=b"FROM busybox\nENV A=remote", times=9)
        ]
        address = f"http://{server.address}/Dockerfile"
        operation = api.image_build(remote=address, t=["remote:1"])
        await operation
    found = await api.image_inspect("remote:1")
    assert found.config is not None
    return found.config.env


@case("image_build", "cachefrom")
async def _(api: EngineApi) -> object:
    return await said(api, "FROM busybox\nENV A=b", cachefrom=["busybox"])


@case("image_build", "pull", "x_registry_config", "platform", registry=True)
async def _(api: EngineApi, registry: Registry) -> object:
    name = f"{registry.address}/parameters/base:1"
    image = small_image("parameters base")
    await load(api, image, name)
    await api.image_push(name)
    await api.image_delete(image.id, force=True)
    parameters = {
        "pull": True,
        "x_registry_config": {registry.address: {"username": "me", "password": "secret"}},
        "platform": str(host()),
    }
    lines, image_id = await transcript(api, context(f"FROM {name}\nENV A=b"), Ids(), parameters)
    assert image_id
    return lines


@case("image_build", "squash")
async def _(api: EngineApi) -> None:
    # dockerd refuses it but in its experimental mode: see test_contract_build_squash.py.
    await with_busybox(api)
    build = api.image_build(
        input_stream=context("FROM busybox\nCOPY Dockerfile /a\nCOPY Dockerfile /b"), squash=True
    )
    try:
        image_id = await build
    except InvalidParameter:
        return
    layers = (await api.image_inspect(image_id)).root_fs.layers
    assert isinstance(layers, list)
    assert len(layers) == 2


@case("image_build", "outputs")
async def _(api: EngineApi) -> object:
    """What an engine elsewhere cannot write here is written nevertheless."""
    await with_busybox(api)
    with tempfile.TemporaryDirectory() as directory:
        dests = {"local": f"{directory}/files", "tar": f"{directory}/tar", "oci": "-"}
        written = [ImageBuildOutput(type=kind, attrs={"dest": to}) for kind, to in dests.items()]
        build = api.image_build(
            input_stream=context("FROM busybox\nCOPY Dockerfile /d/\nRUN echo 1 > /d/one"),
            t=["outputs:1"],
            outputs=[ImageBuildOutput(type="image", attrs={"name": "outputs:2"}), *written],
        )
        archive = b"".join([event.data async for event in build if isinstance(event, BuildArchive)])
        with tarfile.open(dests["tar"]) as tar:
            names = {name for name in tar.getnames() if name.startswith("d")}
        assert names == {"d", "d/Dockerfile", "d/one"}
        assert await asyncio.to_thread(Path(dests["local"], "d/one").read_bytes) == b"1\n"
    found = await api.image_inspect("outputs:2")
    assert found.id == build.result
    await api.image_delete(found.id, force=True)
    return sorted(found.repo_tags), await api.image_load(io.BytesIO(archive))
