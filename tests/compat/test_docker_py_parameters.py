"""Every parameter of the image operations that docker-py can give, with dockerd's answers."""

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import APIError

from lamina.oci.platform import host
from tests.conformance.builds import Ids
from tests.conformance.stock import DANGLING, LABELLED, MIDDLE, PARENT, PLAIN, family_archive
from tests.conformance.wire import assert_alike
from tests.given import gives
from tests.real.archives import docker_archive
from tests.real.dockerd import Dockerd
from tests.real.images import busybox_rootfs, tar_of, write_tree
from tests.real.registry import Registry
from tests.real.web import web_server
from tests.registry.faults import Fault, FaultProxy

Client = Any
"""An `APIClient`; docker-py has no types."""

Scenario = Callable[[Client], object]

ARCHIVE = tar_of(docker_archive((PLAIN, ["a:1"]), (LABELLED, ["b:1"]), (DANGLING, [])))
LOGIN = {"username": "me", "password": "secret"}


@pytest.fixture
def both(
    dockerd: Dockerd, watched: str, with_busybox: tuple[Path, Path], tmp_path: Path
) -> Iterator[tuple[Client, Client]]:
    """A client of dockerd and one of Lamina, with nothing but ``busybox:1`` there."""
    del with_busybox
    # An empty configuration, not the user's.
    clients = [
        docker.APIClient(address, version="auto", credstore_env={}, timeout=200)
        for address in (dockerd.host, watched)
    ]
    for client in clients:
        client.reload_config(str(write_tree({"config.json": b"{}"}, tmp_path) / "config.json"))
    yield clients[0], clients[1]
    for client in clients:
        client.close()


def agree(both: tuple[Client, Client], scenario: Scenario) -> Any:  # noqa: ANN401 - its own
    """What a scenario gives with dockerd, which it must give with Lamina too."""
    expected, got = (scenario(client) for client in both)
    assert_alike(got, expected)
    return got


def refused(call: Callable[..., object], *args: object, **kwargs: object) -> tuple[int, str]:
    """The status and the explanation of a call that fails."""
    with pytest.raises(APIError) as caught:
        call(*args, **kwargs)
    return caught.value.status_code, caught.value.explanation


def said(messages: Iterator[dict[str, Any]]) -> list[str]:
    """The messages of a stream that do not tell how far it is, with numbers for IDs, sorted."""
    course = ("progressDetail", "Pulling fs layer", "Verifying", "Download complete", "Waiting")
    lines = [json.dumps(message, sort_keys=True) for message in messages]
    ids = Ids()
    return sorted(ids.hide(line) for line in lines if not any(word in line for word in course))


def built(client: Client, **options: object) -> list[str]:
    """The messages of a build, with numbers for IDs."""
    ids = Ids()
    messages = client.build(decode=True, **options)
    lines = [ids.hide(json.dumps(message, sort_keys=True)) for message in messages]
    # How what a command writes is cut into messages is a matter of time.
    return "".join(lines).replace('\\n"}{"stream": "', "\\n").replace("}{", "}\n{").splitlines()


@gives(
    "image_build",
    *("dockerfile", "t", "extrahosts", "q", "nocache", "cachefrom", "rm", "forcerm"),
    *("memory", "memswap", "cpushares", "cpusetcpus", "buildargs", "shmsize", "labels"),
    *("networkmode", "content_type", "platform", "target", "input_stream"),
)
def test_builds(both: tuple[Client, Client], tmp_path: Path) -> None:
    text = b"FROM busybox:1 AS one\nARG A\nRUN echo $A\nFROM one\nCOPY . /c/\n"
    directory = write_tree(
        {"Dockerfile": text, "other": text + b"ENV a=b\n", "x.o": b"o", ".dockerignore": b"*.o"},
        tmp_path / "context",
    )
    one = io.BytesIO(b"FROM busybox:1\nRUN echo 1 && grep there /etc/hosts\n")

    def scenario(client: Client) -> object:
        told = [
            built(client, path=str(directory), tag="t:1", rm=True, dockerfile="other"),
            built(client, path=str(directory), nocache=True, forcerm=True, gzip=True),
            built(client, path=str(directory), target="one", buildargs={"A": "x"}, rm=True),
            built(client, path=str(directory), quiet=True, labels={"a": "b"}),
            built(
                client,
                fileobj=io.BytesIO(one.getvalue()),
                container_limits={
                    "memory": 1 << 26,
                    "memswap": 1 << 27,
                    "cpushares": 512,
                    "cpusetcpus": "0-0",
                },
                shmsize=1 << 20,
                network_mode="none",
                extra_hosts={"there": "1.2.3.4"},
                cache_from=["busybox:1"],
                platform=str(host()),
                use_config_proxy=False,
                isolation="default",
                timeout=100,
            ),
            built(
                client,
                fileobj=io.BytesIO(tar_of({"D": b"FROM busybox:1\nCOPY D /\n"})),
                custom_context=True,
                dockerfile="D",
                encoding="identity",
            ),
            built(client, fileobj=io.BytesIO(b"FROM busybox:1\nRUN exit 3\n")),
        ]
        image = client.inspect_image("t:1")
        return told, image["RepoTags"], image["Config"]["Env"]

    agree(both, scenario)


@gives("image_build", "remote")
def test_builds_of_what_is_fetched(both: tuple[Client, Client], tmp_path: Path) -> None:
    archive = tar_of({"Dockerfile": b"FROM busybox:1\nCOPY a /\n", "a": b"a"})
    directory = write_tree({"c.tar": archive, "D": b"FROM busybox:1\nENV a=b\n"}, tmp_path / "web")
    with web_server(directory) as url:

        def scenario(client: Client) -> object:
            return [
                [line for line in built(client, path=f"{url}/{name}", rm=True) if "tream" in line]
                for name in ("c.tar", "D")
            ]

        # How far the download is, is told when there is time.
        archive, alone = agree(both, scenario)
        assert "Successfully built" in archive[-1]
        assert "Successfully built" in alone[-1]


@gives("image_build", "squash")
def test_squashed_builds(both: tuple[Client, Client]) -> None:
    # A dockerd refuses it unless it is experimental.
    lamina = both[1]
    file = io.BytesIO(b"FROM busybox:1\nRUN touch /a\nRUN touch /b\n")
    assert "Successfully tagged s" in built(lamina, fileobj=file, squash=True, tag="s")[-1]
    assert len(lamina.inspect_image("s")["RootFS"]["Layers"]) == 2


@gives("image_build", "pull", "x_registry_config")
def test_builds_on_a_base_behind_a_login(
    both: tuple[Client, Client], guarded: Registry, tmp_path: Path
) -> None:
    name = f"{guarded.address}/private/base"
    both[0].tag("busybox:1", name, "1")
    list(both[0].push(name, "1", stream=True, auth_config=LOGIN))
    both[0].remove_image(f"{name}:1")
    dockerfile = f"FROM {name}:1\nENV a=b\n".encode()

    def scenario(client: Client) -> object:
        before = built(client, fileobj=io.BytesIO(dockerfile), pull=True)
        client.login("me", "secret", registry=guarded.address, dockercfg_path=str(tmp_path / "c"))
        return before[:-1], said(
            client.build(fileobj=io.BytesIO(dockerfile), pull=True, decode=True)
        )

    told = agree(both, scenario)
    assert any("Successfully built" in line for line in told[1])


def test_the_objects_around_it(both: tuple[Client, Client], registry: Registry) -> None:
    """`DockerClient.images`, which most programs use."""
    name = f"{registry.address}/docker-py/objects"
    dockerfile = b"FROM busybox:1\nLABEL a=b\n"

    def scenario(client: Client) -> object:
        whole: Any = docker.DockerClient(base_url="tcp://localhost:1", version="1.41")
        whole.api = client
        images = whole.images
        image, log = images.build(fileobj=io.BytesIO(dockerfile), tag=f"{name}:1", rm=True)
        assert image.tag(name, "2")
        told = [line for line in log if "stream" in line]
        pushed = images.push(name, tag="1"), images.push(name, tag="2")
        assert all("digest: sha256:" in text for text in pushed)
        data = images.get_registry_data(f"{name}:1")
        images.remove(f"{name}:1")
        images.remove(f"{name}:2")
        pulled = images.pull(name, all_tags=True)
        one = images.pull(name, tag="2", platform=str(host()))
        assert data.pull().id == one.id
        history = [item["CreatedBy"] for item in one.history()]
        tags = sorted(tag for found in pulled for tag in found.tags)
        pruned = images.prune(filters={"dangling": True})["ImagesDeleted"]
        one.remove(force=True)
        return len(told), tags, one.labels, history, data.attrs["Platforms"], pruned

    agree(both, scenario)


@gives("build_prune", "keep_storage", "all", "filters")
def test_pruning_of_builds(both: tuple[Client, Client]) -> None:
    def scenario(client: Client) -> object:
        return [
            client.prune_builds(),
            client.prune_builds(filters={"until": "1h"}, keep_storage=1 << 20, all=True),
            refused(client.prune_builds, filters={"until": "1h", "unused-for": "1h"}),
        ]

    agree(both, scenario)


@gives("image_create", "from_src", "repo", "tag", "changes", "input_image")
def test_imports(both: tuple[Client, Client], tmp_path: Path) -> None:
    served = write_tree({"rootfs.tar": busybox_rootfs()}, tmp_path / "web")
    path = str(served / "rootfs.tar")
    with web_server(served) as url:

        def scenario(client: Client) -> object:
            changes = ["CMD a b", "ENV A=1"]
            client.import_image(src=path, repository="i", tag="1", changes=changes)
            client.import_image_from_file(path, repository="i", tag="2", changes=changes)
            client.import_image_from_data(busybox_rootfs(), repository="i", tag="3")
            stream = iter([busybox_rootfs()])
            client.import_image_from_stream(stream, repository="i", tag="4", changes="USER 1")
            client.import_image_from_url(f"{url}/rootfs.tar", repository="i", tag="5")
            images = [client.inspect_image(f"i:{number}") for number in range(1, 6)]
            told = [(one["Config"], one["RootFS"], one["Comment"].split("/")[-1]) for one in images]
            return told, refused(client.import_image, src=path, repository="Bad")

        agree(both, scenario)


@gives("image_create", "from_image", "tag", "platform", "x_registry_auth")
@gives("image_push", "name", "tag", "x_registry_auth")
def test_registries(both: tuple[Client, Client], guarded: Registry, tmp_path: Path) -> None:
    name = f"{guarded.address}/docker-py/image"

    def scenario(client: Client) -> object:
        for tag in ("1", "2"):
            client.tag("busybox:1", name, tag)
        answers: list[object] = [
            said(client.push(name, "1", stream=True, decode=True)),
            refused(client.inspect_distribution, f"{name}:1"),
            said(client.push(name, "1", stream=True, decode=True, auth_config=LOGIN)),
            said(client.push(name, stream=True, decode=True, auth_config=LOGIN)),
            client.inspect_distribution(f"{name}:1", auth_config=LOGIN)["Platforms"],
            # 20.10 answers 500.
            refused(client.login, "me", "wrong", registry=guarded.address)[1],
            client.login(
                "me", "secret", registry=guarded.address, dockercfg_path=str(tmp_path / "none")
            ),
            client.inspect_distribution(f"{name}:2")["Descriptor"]["mediaType"],
        ]
        for tag in ("1", "2"):
            client.remove_image(f"{name}:{tag}")
        return [
            *answers,
            said(client.pull(name, "1", stream=True, decode=True, auth_config=LOGIN)),
            said(client.pull(name, all_tags=True, stream=True, decode=True)),
            said(client.pull(f"{name}:2", platform=str(host()), stream=True, decode=True)),
            refused(client.pull, f"{name}:none"),
            refused(client.pull, name, "1", platform="a b"),
        ]

    agree(both, scenario)


@gives("image_search", "term", "limit")
def test_search(both: tuple[Client, Client]) -> None:
    found = [{"name": "team/a", "description": "A", "star_count": 3, "is_official": False}]
    body = json.dumps({"num_results": 1, "query": "x", "results": found}).encode()
    loop = asyncio.new_event_loop()
    ready: list[str] = []
    begun, end = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with FaultProxy(None).running() as index:
            index.faults = [
                Fault(on="/v1/_ping$", status=200, body=b'{"standalone":true}', times=999),
                Fault(on="/v1/search", status=200, body=body, times=999),
                Fault(on="/v2/$", status=200, times=999),
            ]
            ready.append(index.address)
            begun.set()
            await end.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    begun.wait()
    try:
        agree(both, lambda client: client.search(f"{ready[0]}/x", limit=5))
        # Newer daemons begin sentences with a small letter.
        agree(both, lambda client: refused(client.search, f"{ready[0]}/x", limit=101)[1].lower())
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()


@gives("image_list", "all", "filters")
@gives("image_delete", "name", "force", "noprune")
@gives("image_history", "name")
@gives("image_inspect", "name")
@gives("image_tag", "name", "repo", "tag")
@gives("image_prune", "filters")
def test_images(both: tuple[Client, Client]) -> None:
    def scenario(client: Client) -> object:
        list(client.load_image(family_archive(), quiet=True))
        list(client.load_image(ARCHIVE))
        answers: list[object] = [
            sorted(client.images(quiet=True, all=True)),
            client.images(name="a", quiet=True),
            client.images(filters={"label": "colour", "dangling": False}, quiet=True),
            client.tag("a:1", "c", "2", force=True),
            client.history("c:2"),
            client.inspect_image("c:2")["RepoTags"],
            client.remove_image("child:1", noprune=True),
            client.remove_image(PLAIN.id, force=True),
        ]
        assert {PARENT.id, MIDDLE.id} <= set(client.images(quiet=True, all=True))
        pruned = client.prune_images(filters={"dangling": False, "label!": ["colour"]})
        return [*answers, sorted(map(str, pruned["ImagesDeleted"])), client.images(quiet=True)]

    agree(both, scenario)


@gives("image_load", "quiet", "images_tarball")
@gives("image_get", "name")
def test_archives(both: tuple[Client, Client]) -> None:
    def scenario(client: Client) -> object:
        told = [list(client.load_image(ARCHIVE, quiet=True)), list(client.load_image(ARCHIVE))]
        archive = b"".join(client.get_image("a:1", chunk_size=1 << 16))
        client.remove_image("a:1")
        return (
            told,
            list(client.load_image(archive, quiet=True)),
            refused(lambda: list(client.get_image("z:1"))),
        )

    told, *_ = agree(both, scenario)
    assert "Loaded image" in str(told)


@gives(
    "image_commit",
    *("container", "repo", "tag", "comment", "author", "pause", "changes", "container_config"),
)
def test_commit(both: tuple[Client, Client]) -> None:
    def scenario(client: Client) -> object:
        made = client.create_container("busybox:1", ["sleep", "1000"], network_disabled=True)
        client.start(made)
        for tag, pause in (("1", True), ("2", False)):
            client.commit(
                made,
                repository="c",
                tag=tag,
                message="why",
                author="who",
                pause=pause,
                changes=["ENV A=1", "CMD x"],
                conf={"User": "nobody", "Labels": {"a": "b"}},
            )
        image = client.inspect_image("c:2")
        client.remove_container(made, force=True)
        config = {key: value for key, value in image["Config"].items() if key != "Hostname"}
        return image["RepoTags"], image["Comment"], image["Author"], config

    agree(both, scenario)
