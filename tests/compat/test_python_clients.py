"""docker-py and aiodocker, which thousands of programs are written against."""

import io
from collections.abc import Iterator
from socket import create_server
from typing import Any

import aiodocker
import docker
import pytest
from docker.errors import APIError, ImageNotFound, NotFound

from tests.conformance.stock import LABELLED, PLAIN
from tests.conformance.wire import load
from tests.real.archives import docker_archive
from tests.real.images import busybox_image, busybox_rootfs, tar_of
from tests.real.lamina_daemon import LaminaDaemon, lamina_daemon as running_lamina

pytestmark = pytest.mark.usefixtures("servers")

ARCHIVE = tar_of(docker_archive((PLAIN, ["a:1"]), (LABELLED, ["b:1"])))


@pytest.fixture(params=["auto", "1.41", "1.25"])
def client(request: pytest.FixtureRequest, lamina_daemon: LaminaDaemon) -> Iterator[Any]:
    version = request.param
    with_version = docker.DockerClient(base_url=lamina_daemon.host, version=version)
    yield with_version
    with_version.close()


def test_docker_py_images(client: Any) -> None:  # noqa: ANN401 - docker-py has no types
    assert client.ping() is True
    assert client.version()["Os"] == "linux"
    loaded = client.images.load(ARCHIVE)
    assert {image.id for image in loaded} == {PLAIN.id, LABELLED.id}
    image = client.images.get("b:1")
    assert image.id == LABELLED.id
    assert image.labels["colour"] == "blue"
    assert image.tags == ["b:1"]
    assert image.short_id == LABELLED.id[:19]
    assert len(image.history()) == 4
    assert image.tag("c", "2") is True
    image.reload()
    assert sorted(image.tags) == ["b:1", "c:2"]
    listed = client.images.list(filters={"label": "colour"})
    assert [one.id for one in listed] == [LABELLED.id]
    assert {one.id for one in client.images.list(all=True)} == {PLAIN.id, LABELLED.id}
    assert client.images.list(name="a") == [client.images.get("a:1")]
    assert client.info()["Images"] == 2
    assert client.df()["LayersSize"] > 0


def test_docker_py_save_remove_prune(client: Any) -> None:  # noqa: ANN401
    client.images.load(ARCHIVE)
    archive = b"".join(client.images.get("a:1").save(named=True))
    client.images.remove("a:1")
    with pytest.raises(ImageNotFound, match="No such image: a:1"):
        client.images.get("a:1")
    [again] = client.images.load(archive)
    assert again.tags == ["a:1"]
    with pytest.raises(APIError, match="invalid reference format"):
        again.tag("Bad")
    client.api.tag("a:1", "b", "1")
    report = client.images.prune(filters={"dangling": True})
    assert {"Deleted": LABELLED.id} in report["ImagesDeleted"]
    assert report["SpaceReclaimed"] > 0
    with pytest.raises(NotFound):
        client.images.remove("none:1")
    client.images.remove(PLAIN.id, force=True)
    assert client.images.list() == []


def test_docker_py_import_and_events(client: Any) -> None:  # noqa: ANN401
    before = client.api.events(decode=True)
    said = client.api.import_image_from_data(
        busybox_rootfs(), repository="imported", tag="1", changes=["CMD /bin/sh"]
    )
    assert "sha256:" in said
    assert client.images.get("imported:1").attrs["Config"]["Cmd"] == ["/bin/sh", "-c", "/bin/sh"]
    actions = [next(before)["Action"] for _ in range(2)]
    assert sorted(actions) == ["import", "tag"]
    before.close()


def test_docker_py_attaches_by_websocket() -> None:
    with create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with running_lamina(options=["-H", address]) as daemon:
        load(daemon.socket, tar_of(docker_archive((busybox_image(), ["busybox:1"]))))
        client = docker.APIClient(address)
        made = client.create_container("busybox:1", ["cat"], stdin_open=True)
        client.start(made)
        line = client.attach_socket(made, {"stdin": 1, "stdout": 1, "stream": 1}, ws=True)
        line.send_binary(b"hello\n")
        assert line.recv() == b"hello\n"
        line.close()
        client.remove_container(made, force=True)
        client.close()


async def test_aiodocker(lamina_daemon: LaminaDaemon) -> None:
    async with aiodocker.Docker(url=lamina_daemon.host) as client:
        assert (await client.version())["Os"] == "linux"
        messages = await client.images.import_image(io.BytesIO(ARCHIVE))
        assert [m["stream"] for m in messages] == ["Loaded image: a:1\n", "Loaded image: b:1\n"]
        assert {image["Id"] for image in await client.images.list()} == {PLAIN.id, LABELLED.id}
        assert (await client.images.inspect("a:1"))["Id"] == PLAIN.id
        assert len(await client.images.history("a:1")) == 2
        assert await client.images.tag("a:1", repo="c", tag="3")
        async with client.images.export_image("c:3") as content:
            # To its end: aiodocker does not close a response that is left half read.
            assert len(await content.read()) > 10_000
        deleted = await client.images.delete("a:1")
        assert deleted == [{"Untagged": "a:1"}]
        with pytest.raises(aiodocker.DockerError) as caught:
            await client.images.inspect("a:1")
        assert caught.value.status == 404
        assert caught.value.message == "No such image: a:1"
