"""Every parameter of the image operations that aiodocker can give, with dockerd's answers."""

import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiodocker
import pytest

from lamina.oci.platform import host
from tests.conformance.builds import Ids
from tests.conformance.stock import DANGLING, LABELLED, MIDDLE, PLAIN, family_archive
from tests.conformance.wire import assert_alike
from tests.given import gives
from tests.real.archives import docker_archive
from tests.real.dockerd import Dockerd
from tests.real.images import tar_of, write_tree
from tests.real.registry import Registry
from tests.real.web import web_server

Clients = tuple[aiodocker.Docker, aiodocker.Docker]
Scenario = Callable[[aiodocker.Docker], Awaitable[object]]

ARCHIVE = tar_of(docker_archive((PLAIN, ["a:1"]), (LABELLED, ["b:1"]), (DANGLING, [])))


@pytest.fixture
async def both(
    dockerd: Dockerd, watched: str, with_busybox: tuple[Path, Path]
) -> AsyncIterator[Clients]:
    """A client of dockerd and one of Lamina, with nothing but ``busybox:1`` there."""
    del with_busybox
    async with aiodocker.Docker(dockerd.host) as docker, aiodocker.Docker(watched) as lamina:
        yield docker, lamina


async def agree(both: Clients, scenario: Scenario) -> Any:  # noqa: ANN401 - its own
    """What a scenario gives with dockerd, which it must give with Lamina too."""
    expected, got = [await scenario(client) for client in both]
    assert_alike(got, expected)
    return got


async def refused(call: Awaitable[object]) -> tuple[int, str]:
    """The status and the message of a call that fails."""
    with pytest.raises(aiodocker.DockerError) as caught:
        await call
    return caught.value.status, caught.value.message


def said(messages: list[dict[str, Any]]) -> list[str]:
    """The messages of a stream that do not tell how far it is, with numbers for IDs, sorted."""
    course = ("progressDetail", "Pulling fs layer", "Verifying", "Download complete", "Waiting")
    lines = [json.dumps(message, sort_keys=True) for message in messages]
    ids = Ids()
    return sorted(ids.hide(line) for line in lines if not any(word in line for word in course))


def context(dockerfile: str, name: str = "Dockerfile") -> io.BytesIO:
    return io.BytesIO(tar_of({name: dockerfile.encode(), "f": b"f"}))


@gives(
    "image_build",
    *("t", "q", "pull", "nocache", "forcerm", "rm", "dockerfile", "buildargs", "labels"),
    *("platform", "content_type", "input_stream"),
)
async def test_builds(both: Clients, registry: Registry) -> None:
    base = f"{registry.address}/aiodocker/base"
    await both[0].images.tag("busybox:1", base, tag="1")
    await both[0].images.push(f"{base}:1")
    await both[0].images.delete(f"{base}:1")
    text = "FROM busybox:1\nARG A\nRUN echo $A\nCOPY f /\n"

    async def scenario(client: aiodocker.Docker) -> object:
        build: Any = partial(client.images.build, encoding="identity")
        told = [
            await build(fileobj=context(text), tag="t:1"),
            await build(fileobj=context(text), nocache=True, forcerm=True, rm=False),
            await build(fileobj=context(text, "D"), path_dockerfile="D", quiet=True),
            await build(
                fileobj=context(text),
                buildargs={"A": "x"},
                labels={"a": "b"},
                platform=str(host()),
            ),
            await build(fileobj=context(f"FROM {base}:1\nENV a=b\n"), pull=True),
        ]
        failed = await refused(build(fileobj=context("FROM busybox:1\nRUN exit 3\n")))
        streamed = [one async for one in build(fileobj=context(text), stream=True)]
        return [said(one) for one in (*told, streamed)], failed

    await agree(both, scenario)


@gives("image_build", "remote")
async def test_builds_of_what_is_fetched(both: Clients, tmp_path: Path) -> None:
    archive = tar_of({"Dockerfile": b"FROM busybox:1\nCOPY a /\n", "a": b"a"})
    directory = write_tree({"c.tar": archive}, tmp_path / "web")
    with web_server(directory) as url:

        async def scenario(client: aiodocker.Docker) -> object:
            return said(await client.images.build(remote=f"{url}/c.tar"))

        assert "Successfully built" in str(await agree(both, scenario))


@gives("build_prune", "all", "filters", "keep_storage")
async def test_pruning_of_builds(both: Clients) -> None:
    async def scenario(client: aiodocker.Docker) -> object:
        prune = client.images.prune_builds
        return [
            await prune(),
            await prune(all_builds=True, filters={"until": ["1h"]}, reserved_space=1 << 20),
            await refused(prune(filters={"until": ["1h"], "unused-for": ["1h"]})),
        ]

    await agree(both, scenario)


@gives("image_create", "from_image", "tag", "platform", "x_registry_auth", "repo")
@gives("image_push", "name", "tag", "x_registry_auth")
async def test_registries(both: Clients, guarded: Registry) -> None:
    name = f"{guarded.address}/aiodocker/image"
    auth = {"username": "me", "password": "secret"}

    async def scenario(client: aiodocker.Docker) -> object:
        for tag in ("1", "2"):
            await client.images.tag("busybox:1", name, tag=tag)
        answers: list[object] = [
            await refused(client.images.push(name, tag="1")),
            said(await client.images.push(name, tag="1", auth=auth)),
            said(await client.images.push(f"{name}:2", auth=auth)),
        ]
        for tag in ("1", "2"):
            await client.images.delete(f"{name}:{tag}")
        return [
            *answers,
            await refused(client.images.pull(name, tag="1")),
            said(await client.images.pull(name, tag="1", auth=auth, repo="other")),
            said(await client.images.pull(f"{name}:2", auth=auth, platform=str(host()))),
            await refused(client.images.pull(f"{name}:none", auth=auth)),
        ]

    await agree(both, scenario)


@gives("image_list", "all", "filters", "shared_size", "digests")
@gives("image_delete", "name", "force", "noprune")
@gives("image_history", "name")
@gives("image_inspect", "name")
@gives("image_tag", "name", "repo", "tag")
@gives("image_prune", "filters")
async def test_images(both: Clients) -> None:
    async def scenario(client: aiodocker.Docker) -> object:
        images = client.images
        await images.import_image(io.BytesIO(family_archive()))
        await images.import_image(io.BytesIO(ARCHIVE))
        everything: dict[str, Any] = {"all": 1, "shared-size": 1}
        labelled = await images.list(filters={"label": ["colour"]}, digests=1)
        answers: list[object] = [
            sorted(image["Id"] for image in await images.list(**everything)),
            sorted(image["Id"] for image in labelled),
            await images.tag("a:1", repo="c", tag="2"),
            await images.history("c:2"),
            (await images.inspect("c:2"))["RepoTags"],
            await images.delete("child:1", noprune=True),
            await images.delete(PLAIN.id, force=True),
            (await refused(images.inspect("a:1")))[0],
        ]
        assert MIDDLE.id in {image["Id"] for image in await images.list(all=1)}
        pruned = await images.prune(filters={"dangling": ["false"], "label!": ["colour"]})
        return [*answers, sorted(map(str, pruned["ImagesDeleted"]))]

    await agree(both, scenario)


@gives("image_load", "images_tarball")
@gives("image_get", "name")
async def test_archives(both: Clients) -> None:
    async def scenario(client: aiodocker.Docker) -> object:
        told = said(await client.images.import_image(io.BytesIO(ARCHIVE)))
        async with client.images.export_image("a:1") as content:
            archive = await content.read()
        await client.images.delete("a:1")
        return told, said(await client.images.import_image(io.BytesIO(archive)))

    told, _ = await agree(both, scenario)
    assert "Loaded image" in str(told)


@gives(
    "image_commit",
    *("container", "repo", "tag", "comment", "author", "pause", "changes", "container_config"),
)
async def test_commit(both: Clients) -> None:
    async def scenario(client: aiodocker.Docker) -> object:
        settings: dict[str, Any] = {
            "Image": "busybox:1",
            "Cmd": ["sleep", "1000"],
            "NetworkDisabled": True,
        }
        made = await client.containers.create(settings)
        await made.start()
        await made.commit(
            repository="c",
            tag="1",
            message="why",
            author="who",
            pause=False,
            changes=["ENV A=1", "CMD x"],
            config={"User": "nobody", "Labels": {"a": "b"}},
        )
        image = await client.images.inspect("c:1")
        await made.delete(force=True)
        config = {key: value for key, value in image["Config"].items() if key != "Hostname"}
        return image["RepoTags"], image["Comment"], image["Author"], config

    await agree(both, scenario)
