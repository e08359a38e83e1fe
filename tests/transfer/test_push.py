"""Pushes: what arrives, what is spared, and what becomes of broken ones."""

import asyncio
import io
import json
from pathlib import Path

import pytest

from lamina.engine import Engine
from lamina.errors import LaminaError, NotFound
from lamina.layers.compression import Compression
from lamina.progress import Aux, LayerProgress
from lamina.registry.client import RegistryConfig
from lamina.registry.retry import RetryPolicy
from tests.real.archives import docker_archive, multi_platform_layout, oci_layout
from tests.real.images import file, layer, make_image, small_image, tar_of
from tests.real.programs import run
from tests.real.registry import Registry
from tests.registry.faults import Fault, FaultProxy
from tests.transfer.images_in_registry import image_of, put_image

MIB = 1 << 20
UPLOAD = r"^(PUT|PATCH) .*/blobs/uploads/"


def in_registry(name: str, *, raw: bool = True) -> str:
    """What skopeo finds there."""
    options = ["--raw"] if raw else []
    return run(
        [
            *("skopeo", "--insecure-policy", "inspect", "--tls-verify=false"),
            *options,
            f"docker://{name}",
        ]
    )


async def actions(engine: Engine, name: str, tag: str = "") -> list[str]:
    return [
        event.action
        async for event in engine.image_push(name, tag=tag)
        if isinstance(event, LayerProgress) and event.current is None
    ]


async def test_a_layer_is_compressed_once(
    engine: Engine, registry: Registry, proxy: FaultProxy, tmp_path: Path
) -> None:
    image = small_image("once")
    names = [f"{registry.address}/p/once:1", f"{proxy.address}/p/elsewhere:1"]
    archive = tar_of(docker_archive((image, names)))
    await engine.image_load(io.BytesIO(archive), quiet=True)
    first = await engine.image_push(names[0])
    before = sorted((tmp_path / "engine").rglob("blobs/*/*"))
    assert await engine.image_push(names[1]) == first
    assert await engine.image_push(names[0]) == first
    assert sorted((tmp_path / "engine").rglob("blobs/*/*")) == before
    manifest = json.loads(in_registry(names[0]))
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert {item["mediaType"] for item in manifest["layers"]} == {
        "application/vnd.docker.image.rootfs.diff.tar.gzip"
    }
    told = await engine.image_inspect(image.id)
    assert sorted(told.repo_digests) == sorted(
        f"{name.removesuffix(':1')}@{first['1']}" for name in names
    )


async def test_what_is_there_is_not_sent(engine: Engine, proxy: FaultProxy) -> None:
    image = image_of(1000, 2000, seed="there")
    await put_image(engine, image, f"{proxy.address}/p/there:1")
    assert len(proxy.requests(r"^PUT .*/blobs/uploads/")) == 3
    proxy.seen.clear()
    name = f"{proxy.address}/p/there"
    told = await actions(engine, name, "1")
    assert told == ["Preparing"] * 2 + ["Layer already exists"] * 2
    assert not proxy.requests(r"^(POST|PATCH) ")
    await engine.image_tag(f"{name}:1", repo=f"{proxy.address}/p/mounted", tag="1")
    told = await actions(engine, f"{proxy.address}/p/mounted:1")
    assert told == ["Preparing"] * 2 + ["Mounted from p/there"] * 2
    # The configuration alone is sent again: nobody remembers where those are.
    assert len(proxy.requests(r"^PUT .*/blobs/uploads/")) == 1


async def test_pushed_again_it_changes_nothing_but_what_is_missing(
    engine: Engine, registry: Registry, proxy: FaultProxy
) -> None:
    image, other = small_image("again"), small_image("another")
    name = f"{proxy.address}/p/again:1"
    await engine.image_load(io.BytesIO(tar_of(docker_archive((image, [name])))), quiet=True)
    digest = await engine.image_push(name)
    proxy.seen.clear()
    assert await engine.image_push(name) == digest
    assert not proxy.requests(r"^(POST|PATCH|PUT) ")
    # Somebody moved the tag: only the manifest goes again.
    await put_image(engine, other, name)
    await engine.image_load(io.BytesIO(tar_of(docker_archive((image, [name])))), quiet=True)
    proxy.seen.clear()
    assert await engine.image_push(name) == digest
    assert len(proxy.requests(r"^PUT .*/manifests/1$")) == 1
    assert not proxy.requests(r"^(POST|PATCH) ")
    # A blob is gone, although its manifest is there: it is sent again.
    layer_digest = json.loads(in_registry(f"{registry.address}/p/again:1"))["layers"][0]["digest"]
    for link in registry.storage.rglob(f"*/_layers/sha256/{layer_digest[7:]}/link"):
        link.unlink()
    proxy.seen.clear()
    assert await engine.image_push(name) == digest
    assert len(proxy.requests(r"^PUT .*/blobs/uploads/")) == 1
    assert in_registry(f"{registry.address}/p/again:1", raw=False)


@pytest.mark.parametrize("docker", [False, True], ids=["oci", "docker"])
async def test_an_index_is_pushed_whole(
    engine: Engine, registry: Registry, *, docker: bool
) -> None:
    images = [
        make_image(layer(file("a", architecture)), architecture=architecture)
        for architecture in ("amd64", "arm64", "s390x")
    ]
    name = f"{registry.address}/p/index:{docker}".lower()
    files = multi_platform_layout(images, name, docker=docker)
    await engine.image_load(io.BytesIO(tar_of(files)), quiet=True)
    digests = await engine.image_push(name)
    (index,) = json.loads(files["index.json"])["manifests"]
    assert list(digests.values()) == [index["digest"]]
    raw = files[f"blobs/sha256/{index['digest'][7:]}"]
    assert in_registry(name) == raw.decode()
    for child in json.loads(raw)["manifests"]:
        assert in_registry(f"{name.rpartition(':')[0]}@{child['digest']}")


async def test_an_index_of_which_one_image_is_here(
    engine: Engine, other: Engine, registry: Registry
) -> None:
    """Back to where it came from it goes whole; elsewhere the image goes alone."""
    images = [
        make_image(layer(file("b", architecture)), architecture=architecture)
        for architecture in ("amd64", "arm64")
    ]
    name = f"{registry.address}/p/partial:1"
    files = multi_platform_layout(images, name)
    await other.image_load(io.BytesIO(tar_of(files)), quiet=True)
    whole = await other.image_push(name)
    await engine.image_create(from_image=name)
    assert await engine.image_push(name) == whole
    elsewhere = f"{registry.address}/p/partial-elsewhere"
    await engine.image_tag(name, repo=elsewhere, tag="1")
    values = [e.value async for e in engine.image_push(elsewhere) if isinstance(e, Aux)]
    assert values[0]["manifestPushedInsteadOfIndex"] is True
    assert values[0]["originalIndex"]["digest"] == whole["1"]
    assert values[0]["selectedManifest"]["digest"] == values[1]["Digest"]
    assert "config" in json.loads(in_registry(f"{elsewhere}:1"))


async def test_a_manifest_of_an_archive_is_kept_if_its_layers_are_compressed(
    engine: Engine, registry: Registry
) -> None:
    for compression in ("gzip", "zstd", ""):
        name = f"{registry.address}/p/archive:x{compression}"
        files = oci_layout((small_image(f"kept {compression}"), [name]), compression=compression)
        await engine.image_load(io.BytesIO(tar_of(files)), quiet=True)
        digests = await engine.image_push(name)
        (entry,) = json.loads(files["index.json"])["manifests"]
        assert (digests[f"x{compression}"] == entry["digest"]) == bool(compression)


async def test_zstd_if_configured(tmp_path: Path, registry: Registry) -> None:
    name = f"{registry.address}/p/zstd:1"
    async with Engine.open(tmp_path / "z", layer_compression=Compression.ZSTD) as engine:
        await put_image(engine, small_image("zstd"), name)
    manifest = json.loads(in_registry(name))
    assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert {item["mediaType"] for item in manifest["layers"]} == {
        "application/vnd.oci.image.layer.v1.tar+zstd"
    }


@pytest.mark.parametrize(
    "fault",
    [
        Fault(on=UPLOAD, cut_request=MIB),
        Fault(on=UPLOAD, status=503),
        Fault(on=UPLOAD, status=429, headers={"Retry-After": "0"}),
        Fault(on=UPLOAD, status=413),
        Fault(on=r"^POST ", status=500),
        Fault(on=r"^HEAD .*/blobs/", status=502),
        Fault(on=r"^PUT .*/manifests/", status=503),
    ],
    ids=str,
)
async def test_what_passes(
    engine: Engine, other: Engine, proxy: FaultProxy, registry: Registry, fault: Fault
) -> None:
    image = image_of(3 * MIB, seed=str(fault))
    number = abs(hash(str(fault))) % 1000
    proxy.faults = [fault]
    await put_image(engine, image, f"{proxy.address}/p/passes{number}:1")
    await other.image_create(from_image=f"{registry.address}/p/passes{number}:1")
    assert (await other.image_inspect(image.id)).root_fs.layers == list(image.diff_ids)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault(on=UPLOAD, status=500, times=99), "500 Internal Server Error"),
        (Fault(on=UPLOAD, status=403, times=99), "403"),
        (
            Fault(
                on=r"^POST ",
                status=403,
                body=b'{"errors":[{"code":"DENIED"}]}',
                times=99,
            ),
            "denied: requested access to the resource is denied",
        ),
        (Fault(on=r"^(HEAD|POST) ", status=401, times=99), "unauthorized"),
        (Fault(on=r"^PUT .*/manifests/", status=400, body=b"{}", times=99), "400"),
    ],
    ids=str,
)
async def test_what_does_not_pass(
    tmp_path: Path, proxy: FaultProxy, fault: Fault, message: str
) -> None:
    proxy.faults = [fault]
    patience = RegistryConfig(retries=RetryPolicy(attempts=2, first=0.01))
    async with Engine.open(tmp_path / "impatient", registries=patience) as engine:
        with pytest.raises(LaminaError, match=message):
            await put_image(engine, image_of(1000, seed=message), f"{proxy.address}/p/fails:1")
        (image,) = await engine.image_list()
        assert image.repo_digests == []


async def test_pushes_side_by_side(engine: Engine, registry: Registry) -> None:
    image = image_of(MIB, seed="side by side")
    names = [f"{registry.address}/p/side{number}:1" for number in range(4)]
    await engine.image_load(io.BytesIO(tar_of(docker_archive((image, names)))), quiet=True)
    pushed = await asyncio.gather(*(drained(engine, name) for name in [*names, names[0]]))
    assert len({digest["1"] for digest in pushed}) == 1


async def drained(engine: Engine, name: str) -> dict[str, str]:
    return await engine.image_push(name)


async def test_names_that_are_not_here(engine: Engine, registry: Registry) -> None:
    with pytest.raises(NotFound, match="An image does not exist locally with the tag: "):
        await engine.image_push(f"{registry.address}/p/none:1")
