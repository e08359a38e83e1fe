"""The client against a real dockerd: every operation, its errors, and what happens on the way."""

import asyncio
import contextlib
import io
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from lamina import errors
from lamina.client import Client, TLSFiles
from lamina.image_api import ImageApi
from lamina.progress import LayerProgress, StreamText
from lamina.system_api import SystemApi
from tests.real.archives import docker_archive
from tests.real.certificates import Authority
from tests.real.dockerd import Dockerd, dockerd as running_dockerd
from tests.real.image_files import ImageFiles
from tests.real.images import Image, small_image, tar_of

IMAGE = small_image("client")
OTHER = small_image("client other")


@pytest.fixture
async def client(dockerd: Dockerd) -> AsyncIterator[Client]:
    async with Client.connect(dockerd.host) as client:
        yield client


@pytest.fixture
async def loaded(client: Client) -> AsyncIterator[Client]:
    """The client of a dockerd that has `IMAGE` as client/one:1 and client/one:2."""
    await client.image_load(io.BytesIO(archive(IMAGE, "client/one:1", "client/one:2")))
    yield client
    for image in (IMAGE, OTHER):
        with contextlib.suppress(errors.ImageNotFound):
            await client.image_delete(image.id, force=True)


def archive(image: Image, *names: str) -> bytes:
    return tar_of(docker_archive((image, list(names))))


async def test_it_is_what_it_says(client: Client) -> None:
    images: ImageApi = client
    system: SystemApi = client
    assert (await system.system_ping()).api_version == client.api_version
    assert isinstance(await images.image_list(), list)


async def test_versions(dockerd: Dockerd, client: Client) -> None:
    version = await client.system_version()
    assert client.api_version == min(version.api_version, "1.44")
    assert client.host == dockerd.host
    async with Client.connect(dockerd.host, api_version="1.30") as old:
        assert old.api_version == "1.30"
        assert (await old.system_version()).version == version.version
        assert isinstance(await old.image_list(), list)


async def test_an_impossible_version_is_refused_by_the_engine(dockerd: Dockerd) -> None:
    async with Client.connect(dockerd.host, api_version="1.99") as client:
        with pytest.raises(errors.InvalidParameter, match="is too new"):
            await client.image_list()


async def test_load_and_its_events(client: Client) -> None:
    operation = client.image_load(io.BytesIO(archive(OTHER, "client/other:1", "client/other:2")))
    events = [event async for event in operation]
    assert operation.result == ["client/other:1", "client/other:2"]
    layers = {event.id for event in events if isinstance(event, LayerProgress)}
    assert layers == {diff_id.removeprefix("sha256:")[:12] for diff_id in OTHER.diff_ids}
    assert StreamText("Loaded image: client/other:1\n") in events
    again = client.image_load(io.BytesIO(archive(OTHER)), quiet=True)
    assert [event async for event in again] == [StreamText(f"Loaded image ID: {OTHER.id}\n")]
    assert again.result == [OTHER.id]
    await client.image_delete(OTHER.id, force=True)


async def test_every_source(client: Client, tmp_path: Path) -> None:
    data = archive(OTHER, "client/other:1")
    file = tmp_path / "archive.tar"
    file.write_bytes(data)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 1000):
            yield data[start : start + 1000]
            # Empty chunks mean nothing; in HTTP they would mean the end.
            yield b""

    with file.open("rb") as opened:
        for source in (file, opened, io.BytesIO(data), chunks()):
            assert await client.image_load(source) == ["client/other:1"]
    await client.image_delete(OTHER.id, force=True)


async def test_list_inspect_and_history(loaded: Client) -> None:
    (row,) = await loaded.image_list(filters={"reference": ["client/one"]})
    assert (row.id, row.repo_tags, row.repo_digests) == (
        IMAGE.id,
        ["client/one:1", "client/one:2"],
        [],
    )
    assert row.labels == {"seed": "client"}
    image = await loaded.image_inspect("client/one:2")
    assert image.id == IMAGE.id
    assert list(image.root_fs.layers or ()) == list(IMAGE.diff_ids)
    assert image.size == image.virtual_size == row.size
    newest, *_, oldest = await loaded.image_history("client/one:1")
    assert newest.tags == ["client/one:1", "client/one:2"]
    assert (oldest.id, oldest.created_by) == ("<missing>", "layer 0")
    assert await loaded.image_list(filters={"reference": "client/one", "dangling": True}) == []


async def test_tag_and_delete(loaded: Client) -> None:
    await loaded.image_tag("client/one:1", repo="client.example:5000/a/b", tag="x")
    await loaded.image_tag(IMAGE.id, repo="client/one")
    items = await loaded.image_delete("client/one")
    assert [item.untagged for item in items] == ["client/one:latest"]
    with pytest.raises(errors.Conflict, match="image is referenced in multiple repositories"):
        await loaded.image_delete(IMAGE.id)
    items = await loaded.image_delete(IMAGE.id, force=True)
    assert [item.untagged for item in items][:3] == [
        "client.example:5000/a/b:x",
        "client/one:1",
        "client/one:2",
    ]
    assert IMAGE.id in [item.deleted for item in items]


async def test_prune(client: Client) -> None:
    await client.image_load(io.BytesIO(archive(small_image("client pruned"))))
    report = await client.image_prune(filters={"dangling": True, "label": "seed=client pruned"})
    assert report.images_deleted is not None
    assert small_image("client pruned").id in [item.deleted for item in report.images_deleted]
    assert report.space_reclaimed > 0
    assert (await client.image_prune(filters={"label": ["seed=nobody"]})).images_deleted is None


async def test_save_and_load_again(loaded: Client) -> None:
    await loaded.image_load(io.BytesIO(archive(OTHER, "client/other:1")))
    async with loaded.image_get("client/one") as stream:
        one = b"".join([chunk async for chunk in stream])
    async with loaded.image_get_all(["client/one:1", "client/other:1"]) as stream:
        both = b"".join([chunk async for chunk in stream])
    await loaded.image_delete(IMAGE.id, force=True)
    await loaded.image_delete(OTHER.id, force=True)
    assert sorted(await loaded.image_load(io.BytesIO(one))) == ["client/one:1", "client/one:2"]
    assert sorted(await loaded.image_load(io.BytesIO(both))) == ["client/one:1", "client/other:1"]


async def test_import(client: Client, image_files: ImageFiles) -> None:
    image_id = await client.image_create(
        from_src="-",
        repo="client/imported",
        tag="1",
        message="a message",
        changes=["ENV A=b", "LABEL x=&y"],
        platform="linux/arm64",
        input_image=image_files.busybox_rootfs,
    )
    image = await client.image_inspect("client/imported:1")
    assert image.id == image_id
    # A dockerd below 25 keeps to its own architecture, whatever it is told.
    assert (image.comment, image.os) == ("a message", "linux")
    assert image.config is not None
    assert image.config.labels == {"x": "&y"}
    await client.image_delete(image_id, force=True)


async def test_platform_needs_a_version_that_has_it(dockerd: Dockerd) -> None:
    async with Client.connect(dockerd.host, api_version="1.31") as client:
        operation = client.image_create(from_src="http://127.0.0.1:1/x", platform="linux")
        with pytest.raises(errors.NotImplementedHere, match=r"requires API version 1\.32"):
            await operation


async def test_events_of_the_past_and_of_now(loaded: Client) -> None:
    filters = {"type": "image", "image": IMAGE.id, "event": "tag"}
    await loaded.image_tag("client/one:1", repo="client/before", tag="1")
    past = [event async for event in loaded.system_events(since="1m", until="0s", filters=filters)]
    assert past[-1].actor.attributes["name"] == "client/before:1"
    async with contextlib.aclosing(loaded.system_events(filters=filters)) as events:
        coming = asyncio.ensure_future(anext(events))
        # Until the engine has begun to listen an event may pass unseen: so there are several.
        while not coming.done():
            await loaded.image_tag("client/one:1", repo="client/now", tag="1")
            await asyncio.wait([coming], timeout=0.05)
        event = coming.result()
    assert (event.action, event.actor.attributes["name"]) == ("tag", "client/now:1")
    await loaded.image_delete("client/now:1")


async def test_system(client: Client) -> None:
    info = await client.system_info()
    assert info.server_version == (await client.system_version()).version
    usage = await client.system_data_usage(types=["image"])
    assert usage.images is not None
    assert usage.containers is None


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda c: c.image_inspect("client/no"), errors.ImageNotFound, ": client/no:latest"),
        (lambda c: c.image_history("client/no:1"), errors.ImageNotFound, ": client/no:1"),
        (lambda c: c.image_delete("client/no"), errors.ImageNotFound, ": client/no:latest"),
        (lambda c: c.image_list(filters={"x": "y"}), errors.InvalidFilter, "filter 'x'"),
        (lambda c: c.image_inspect("Client"), errors.InvalidParameter, "must be lowercase"),
        (
            lambda c: c.image_create(from_src="-", input_image=io.BytesIO(), changes=["FROM x"]),
            errors.InvalidParameter,
            "from is not a valid change command",
        ),
    ],
)  # fmt: skip
async def test_errors(
    client: Client,
    call: Callable[[Client], object],
    error: type[errors.LaminaError],
    message: str,
) -> None:
    with pytest.raises(error, match=message) as caught:
        await call(client)  # type: ignore[misc]
    if isinstance(caught.value, errors.ImageNotFound):
        assert caught.value.name.startswith("client/no:")


async def test_an_error_in_the_stream(client: Client) -> None:
    # Much more than any socket buffers: the engine gives up while the rest is still being sent.
    with pytest.raises(errors.EngineError, match="invalid tar header"):
        await client.image_load(io.BytesIO(b"no archive" * 5_000_000))


async def test_an_error_of_the_source_is_the_callers_own(client: Client) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield archive(OTHER)[:1000]
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        await client.image_load(broken())
    assert not await client.image_list(all=True, filters={"label": "seed=client other"})


async def test_leaving_an_upload_early_ends_it(client: Client) -> None:
    taken, closed = asyncio.Event(), asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(1 << 16)
                taken.set()
                await asyncio.sleep(0)
        finally:
            closed.set()

    task = asyncio.ensure_future(_await(client.image_load(endless())))
    await taken.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await closed.wait()
    assert (await client.system_ping()).os_type == "linux"


async def _await(operation: object) -> object:
    return await operation  # type: ignore[misc]


async def test_leaving_a_download_early(loaded: Client) -> None:
    async with loaded.image_get("client/one:1") as stream:
        async for _ in stream:
            break
    assert (await loaded.image_inspect("client/one:1")).id == IMAGE.id


@pytest.mark.parametrize(
    "host", ["unix:///no/such.sock", "tcp://127.0.0.1:1", "https://127.0.0.1:1"]
)
async def test_nobody_there(host: str) -> None:
    with pytest.raises(errors.Unavailable, match=f"Cannot connect to the Docker daemon at {host}"):
        async with Client.connect(host):
            pass


@pytest.mark.parametrize("host", ["tcp://a..b", f"tcp://{'a' * 64}"])
async def test_a_host_that_cannot_be(host: str) -> None:
    with pytest.raises(errors.Unavailable, match=r"^error during connect: .*: no such host$"):
        async with Client.connect(host):
            pass


@pytest.fixture(scope="module")
def tls_dockerd(authority: Authority) -> Iterator[tuple[Dockerd, str]]:
    """A dockerd that speaks TLS on a port, and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = [
        f"--host=tcp://127.0.0.1:{port}",
        "--tlsverify",
        f"--tlscacert={authority.ca}",
        f"--tlscert={authority.server_certificate}",
        f"--tlskey={authority.server_key}",
    ]
    with running_dockerd(options=options) as daemon:
        yield daemon, f"tcp://127.0.0.1:{port}"


async def test_tls(tls_dockerd: tuple[Dockerd, str], authority: Authority) -> None:
    _, host = tls_dockerd
    files = TLSFiles.in_directory(authority.directory)
    async with Client.connect(host, tls=files) as client:
        assert await client.image_load(io.BytesIO(archive(IMAGE, "tls:1"))) == ["tls:1"]
        async with client.image_get("tls:1") as stream:
            assert len(b"".join([chunk async for chunk in stream])) > 1000
    careless = TLSFiles(cert=files.cert, key=files.key, verify=False)
    async with Client.connect(host.replace("tcp", "https"), tls=careless) as client:
        assert (await client.system_info()).images >= 1


async def test_tls_refusals(tls_dockerd: tuple[Dockerd, str], authority: Authority) -> None:
    _, host = tls_dockerd
    for files in (TLSFiles(), TLSFiles(ca=authority.ca)):
        with pytest.raises(errors.Unavailable, match="error during connect"):
            async with Client.connect(host, tls=files):
                pass
    with pytest.raises(errors.LaminaError, match="HTTP request to an HTTPS server"):
        async with Client.connect(host):
            pass


@contextlib.contextmanager
def engine_that_says(path: Path, reply: bytes) -> Iterator[str]:
    """The address of an engine that answers one request so, and hangs up."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(reply)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"unix://{path}"
    finally:
        thread.join()
        server.close()


async def test_a_download_that_breaks_off_is_no_complete_one(tmp_path: Path) -> None:
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"
    with engine_that_says(tmp_path / "s", reply) as host:
        async with (
            Client.connect(host, api_version="1.41") as client,
            client.image_get("x") as stream,
        ):
            assert stream.size == 100
            with pytest.raises(errors.Unavailable, match="broke off"):
                assert [chunk async for chunk in stream]


async def test_an_engine_that_is_too_old(tmp_path: Path) -> None:
    reply = b"HTTP/1.1 200 OK\r\nApi-Version: 1.23\r\nContent-Length: 2\r\n\r\nOK"
    with (
        engine_that_says(tmp_path / "s", reply) as host,
        pytest.raises(errors.NotImplementedHere, match=r"API version 1\.23 is not supported"),
    ):
        async with Client.connect(host):
            pass
