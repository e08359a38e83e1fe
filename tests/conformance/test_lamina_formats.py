"""What Lamina does and dockerd 20.10 cannot: OCI layouts, zstd, saving both forms in one file."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from backports import zstd

from lamina.oci.platform import host
from tests.conformance.engines import EngineApi, client_of, engine_in, saved
from tests.conformance.stock import HISTORY_COMMENT, LABELLED, PLAIN
from tests.real.archives import docker_archive, multi_platform_layout, oci_layout
from tests.real.images import file, layer, make_image, tar_of
from tests.real.lamina_daemon import LaminaDaemon


@pytest.fixture(params=["engine", "client"])
async def api(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EngineApi]:
    if request.param == "engine":
        opened = engine_in(tmp_path / "root")
    else:
        daemon: LaminaDaemon = request.getfixturevalue("lamina_daemon")
        opened = client_of(daemon.socket)
    async with opened as engine:
        yield engine


@pytest.mark.parametrize("docker", [False, True], ids=["OCI's types", "Docker's types"])
@pytest.mark.parametrize("compression", ["", "gzip", "zstd"])
async def test_layouts(api: EngineApi, compression: str, docker: bool) -> None:  # noqa: FBT001
    archive = tar_of(
        oci_layout((PLAIN, ["a:1", "b:2"]), (LABELLED, []), compression=compression, docker=docker)
    )
    for body in (archive, gzip.compress(archive), zstd.compress(archive)):
        loaded = await api.image_load(io.BytesIO(body))
        assert loaded[:2] == ["a:1", "b:2"]
        listed = {image.id: sorted(image.repo_tags) for image in await api.image_list()}
        assert listed == {PLAIN.id: ["a:1", "b:2"], LABELLED.id: []}
        assert (await api.image_inspect("a:1")).root_fs.layers == list(PLAIN.diff_ids)
        await api.image_prune(filters={"dangling": False})


async def test_zstd_around_and_within_a_docker_archive(api: EngineApi) -> None:
    inner = tar_of(docker_archive((PLAIN, ["a:1"]), compression="zstd"))
    assert await api.image_load(io.BytesIO(zstd.compress(inner))) == ["a:1"]
    assert (await api.image_inspect("a:1")).id == PLAIN.id
    image_id = await api.image_create(
        from_src="-", input_image=io.BytesIO(zstd.compress(PLAIN.layers[0])), repo="b"
    )
    assert (await api.image_inspect(image_id)).root_fs.layers == [PLAIN.diff_ids[0]]


async def test_of_many_platforms_the_hosts_is_the_image(api: EngineApi) -> None:
    mine = host()
    images = [
        make_image(layer(file("platform", name)), architecture=name)
        for name in ("s390x", mine.architecture, "riscv64")
    ]
    archive = tar_of(multi_platform_layout(images, "multi:1"))
    assert await api.image_load(io.BytesIO(archive)) == ["multi:1"]
    inspected = await api.image_inspect("multi:1")
    assert (inspected.id, inspected.architecture) == (images[1].id, mine.architecture)
    # The others went along, and are there again in what is saved.
    files = unpacked(await saved(api, "multi:1"))
    for image in images:
        assert files[f"blobs/sha256/{image.id.removeprefix('sha256:')}"] == image.config


async def test_an_archive_that_is_saved_twice_is_the_same(api: EngineApi) -> None:
    parts = docker_archive((PLAIN, ["a:1", "a:2"]), (HISTORY_COMMENT, ["b:1"]))
    await api.image_load(io.BytesIO(tar_of(parts)))
    first = await saved(api, ["a", "b:1"])
    assert await saved(api, ["a", "b:1"]) == first
    async with api.image_get("a:1") as stream:
        # Known beforehand: clients show how far a download is.
        assert stream.size == len(b"".join([chunk async for chunk in stream]))
    await api.image_prune(filters={"dangling": False})
    await api.image_load(io.BytesIO(first))
    assert await saved(api, ["a", "b:1"]) == first


async def test_one_archive_is_three_formats(api: EngineApi) -> None:
    await api.image_load(io.BytesIO(tar_of(docker_archive((PLAIN, ["a:1"]), (LABELLED, ["b:2"])))))
    files = unpacked(await saved(api, ["a:1", "b:2"]))
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    named = {}
    for descriptor in json.loads(files["index.json"])["manifests"]:
        manifest = json.loads(blob(files, descriptor["digest"], descriptor["size"]))
        config = blob(files, manifest["config"]["digest"], manifest["config"]["size"])
        for one in manifest["layers"]:
            blob(files, one["digest"], one["size"])
        named[descriptor["annotations"]["io.containerd.image.name"]] = config
    assert named == {
        "docker.io/library/a:1": PLAIN.config,
        "docker.io/library/b:2": LABELLED.config,
    }
    for name, tags in json.loads(files["repositories"]).items():
        image = PLAIN if name == "a" else LABELLED
        [(_, top)] = tags.items()
        # From the top down, each directory names its parent.
        below: str | None = top
        for data in reversed(image.layers):
            assert files[f"{below}/VERSION"].strip() == b"1.0"
            assert files[f"{below}/layer.tar"] == data
            described = json.loads(files[f"{below}/json"])
            assert described["id"] == below
            below = described.get("parent")
        assert below is None


def blob(files: dict[str, bytes], digest: str, size: int) -> bytes:
    data = files["blobs/" + digest.replace(":", "/")]
    assert len(data) == size
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == digest
    return data


def unpacked(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {
            member.name: reader.read()
            for member in tar
            if not member.isdir() and (reader := tar.extractfile(member))
        }
