"""Pulls that meet trouble: they end well, or say what was wrong and leave nothing behind."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lamina.engine import Engine
from lamina.errors import InvalidManifest, LaminaError
from lamina.oci.reference import Reference
from lamina.progress import LayerProgress, Operation
from lamina.registry.client import RegistryClient, RegistryConfig
from lamina.registry.hosts import HostRules
from lamina.registry.retry import RetryPolicy
from tests.real.registry import Registry
from tests.registry.blobs import Blob
from tests.registry.faults import Fault, FaultProxy
from tests.transfer.images_in_registry import contents, image_of, put_image

MIB = 1 << 20
BLOB = r"^GET .*/blobs/"
IMPATIENT = RegistryConfig(retries=RetryPolicy(attempts=2, first=0.01))


def left_in(root: Path) -> list[Path]:
    """The blobs and ingests of a data root."""
    content = root / "content"
    return [path for path in content.rglob("*") if path.is_file()]


def large_blob(registry: Registry, size: int) -> str:
    """The hash of the one blob in the registry that is about so large."""
    (found,) = {
        path.parent.name
        for path in registry.storage.glob("docker/registry/v2/blobs/sha256/*/*/data")
        if size <= path.stat().st_size < size + 10_000
    }
    return found


async def drained(operation: Operation[str]) -> str:
    return await operation


async def progress(engine: Engine, name: str) -> AsyncIterator[LayerProgress]:
    async for event in engine.image_create(from_image=name):
        if isinstance(event, LayerProgress):
            yield event


async def test_a_broken_connection_goes_on_where_it_broke(
    engine: Engine, other: Engine, proxy: FaultProxy, registry: Registry
) -> None:
    image = image_of(3 * MIB, seed="broken")
    await put_image(other, image, f"{registry.address}/t/broken:1")
    proxy.faults = [Fault(on=BLOB, cut=MIB, times=3)]
    await engine.image_create(from_image=f"{proxy.address}/t/broken:1")
    ranges = [seen.headers.get("Range") for seen in proxy.requests(BLOB)]
    assert ranges[0] is None
    starts = [int(text[6:-1]) for text in ranges if text]
    assert starts == sorted(starts)
    assert starts[0] > 0
    assert await contents(engine, f"{proxy.address}/t/broken:1")


@pytest.mark.parametrize(
    "fault",
    [
        Fault(on=BLOB, status=503),
        Fault(on=BLOB, status=429, headers={"Retry-After": "0"}),
        Fault(on=BLOB, flip=1000),
        Fault(on=BLOB, cut=1000, forget_range=True, times=2),
        Fault(on=BLOB, length=10),
        Fault(on=r"^GET .*/manifests/", status=500),
    ],
    ids=str,
)
async def test_what_passes(
    engine: Engine, other: Engine, proxy: FaultProxy, registry: Registry, fault: Fault
) -> None:
    image = image_of(100_000, seed="passes")
    await put_image(other, image, f"{registry.address}/t/passes:1")
    proxy.faults = [fault]
    await engine.image_create(from_image=f"{proxy.address}/t/passes:1")
    assert (await engine.image_inspect(image.id)).root_fs.layers == list(image.diff_ids)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault(on=BLOB, flip=1000, times=99), "verification failed for digest sha256:"),
        (Fault(on=BLOB, status=404, body=b"{}", times=99), "404"),
        (Fault(on=r"^GET .*/manifests/", body=b"{}", status=200), "schema version 0"),
        (Fault(on=r"^GET .*/manifests/", body=b"[" * 100_000, status=200), "manifest"),
        (Fault(on=r"^GET .*/manifests/", status=401, times=9), "unauthorized"),
    ],
    ids=str,
)
async def test_what_does_not_pass(  # noqa: PLR0917
    tmp_path: Path,
    other: Engine,
    proxy: FaultProxy,
    registry: Registry,
    fault: Fault,
    message: str,
) -> None:
    await put_image(other, image_of(100_000, seed="fails"), f"{registry.address}/t/fails:1")
    proxy.faults = [fault]
    async with Engine.open(tmp_path / "impatient", registries=IMPATIENT) as engine:
        with pytest.raises(LaminaError, match=message):
            await engine.image_create(from_image=f"{proxy.address}/t/fails:1")
        assert await engine.image_list(all=True) == []
        await engine.image_prune()
    assert left_in(tmp_path / "impatient") == []


async def test_a_pull_that_was_cancelled_is_taken_up_again(
    tmp_path: Path, other: Engine, proxy: FaultProxy, registry: Registry
) -> None:
    """Complete layers are not asked for again, and of others only the rest; after a restart."""
    image = image_of(1000, 2_600_000, seed="cancelled")
    await put_image(other, image, f"{registry.address}/t/cancelled:1")
    name = f"{proxy.address}/t/cancelled:1"
    large = large_blob(registry, 2_600_000)
    proxy.faults = [Fault(on=rf"{BLOB}sha256:{large}", stall=2 * MIB)]
    kept = tmp_path / "resumed" / "content" / "ingest" / f"sha256:{large}" / "data"
    async with Engine.open(tmp_path / "resumed") as engine:
        async with contextlib.aclosing(aiter(engine.image_create(from_image=name))) as events:
            async for event in events:
                if isinstance(event, LayerProgress) and event.action == "Pull complete":
                    break
            while not kept.exists() or kept.stat().st_size < MIB:  # noqa: ASYNC110
                # Until as much of the other has arrived as ever will.
                await asyncio.sleep(0.01)
        assert await engine.image_list(all=True) == []
    proxy.seen.clear()
    async with Engine.open(tmp_path / "resumed") as engine:
        actions = [event.action async for event in progress(engine, name)]
        assert actions[:2] == ["Already exists", "Pulling fs layer"]
        (asked,) = [seen for seen in proxy.requests(BLOB) if "Range" in seen.headers]
        assert int(asked.headers["Range"][6:-1]) >= MIB
        assert (await engine.image_inspect(name)).id == image.id
        await engine.image_delete(name)
        await engine.image_prune()
    assert left_in(tmp_path / "resumed") == []


async def test_what_was_kept_may_be_bad(tmp_path: Path, other: Engine, registry: Registry) -> None:
    image = image_of(2 * MIB, seed="kept")
    name = f"{registry.address}/t/kept:1"
    await put_image(other, image, name)
    root = tmp_path / "kept"
    digest = f"sha256:{large_blob(registry, 2 * MIB)}"
    kept = root / "content" / "ingest" / digest
    kept.mkdir(parents=True)
    (kept / "data").write_bytes(b"\0" * MIB)
    (kept / "ref").write_text(digest)
    async with Engine.open(root) as engine:
        await engine.image_create(from_image=name)
        assert (await engine.image_inspect(name)).id == image.id


async def test_two_pulls_share_their_downloads(
    engine: Engine, other: Engine, proxy: FaultProxy, registry: Registry
) -> None:
    image = image_of(MIB, MIB, seed="shared")
    await put_image(other, image, f"{registry.address}/t/shared:1")
    name = f"{proxy.address}/t/shared:1"
    await asyncio.gather(*(engine.image_create(from_image=name) for _ in range(4)))
    layers = [seen.path for seen in proxy.requests(BLOB) if "Range" not in seen.headers]
    per_path = {path: layers.count(path) for path in layers}
    assert sorted(per_path.values())[:2] == [1, 1]


async def test_one_of_two_pulls_may_leave(
    engine: Engine, other: Engine, proxy: FaultProxy, registry: Registry
) -> None:
    image = image_of(3 * MIB, seed="leave")
    await put_image(other, image, f"{registry.address}/t/leave:1")
    name = f"{proxy.address}/t/leave:1"
    # The first hangs until it is left: the one that stays needs the retry.
    first, second = engine.image_create(from_image=name), engine.image_create(from_image=name)
    events = aiter(first)
    async for event in events:
        if isinstance(event, LayerProgress) and event.action == "Pulling fs layer":
            break
    staying = asyncio.ensure_future(drained(second))
    await events.aclose()
    await staying
    assert (await engine.image_inspect(name)).id == image.id


async def test_a_mirror_is_asked_first_and_may_fail(
    tmp_path: Path, other: Engine, proxy: FaultProxy, registry: Registry
) -> None:
    await put_image(other, image_of(1000, seed="mirror"), f"{registry.address}/library/mirrored:1")
    rules = HostRules(mirrors={registry.address: [f"http://{proxy.address}"]})
    for fault in (None, Fault(on="", status=500, times=99)):
        proxy.faults = [fault] if fault else []
        root = tmp_path / f"root{fault is None}"
        async with Engine.open(root, registries=RegistryConfig(hosts=rules)) as engine:
            await engine.image_create(from_image=f"{registry.address}/library/mirrored:1")
            (image,) = await engine.image_list()
            assert image.repo_tags == [f"{registry.address}/library/mirrored:1"]
        assert proxy.requests("/library/mirrored/")


@pytest.mark.parametrize(
    ("layers", "message"), [(1, "layers from manifest don't match"), (126, "max depth exceeded")]
)
async def test_layers_that_are_not_those_of_an_image(
    engine: Engine,
    other: Engine,
    proxy: FaultProxy,
    registry: Registry,
    *,
    layers: int,
    message: str,
) -> None:
    wrong = image_of(1000, seed="one")
    await put_image(other, wrong, f"{registry.address}/t/liar:1")
    config = json.dumps(
        {
            "os": "linux",
            "architecture": "amd64",
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "a" * 64] * layers},
        }
    ).encode()
    async with RegistryClient(RegistryConfig()) as client:
        repository = await client.repository(Reference.parse(f"{registry.address}/t/liar"))
        fetched = await repository.fetch("1")
        blob = Blob(config)
        await repository.upload(blob)
        manifest = json.loads(fetched.raw)
        manifest["config"].update(digest=str(blob.digest), size=len(config))
        manifest["layers"] *= layers
        await repository.put(json.dumps(manifest).encode(), fetched.media_type, tag="2")
    with pytest.raises(InvalidManifest, match=message):
        await engine.image_create(from_image=f"{proxy.address}/t/liar:2")
    assert await engine.image_list(all=True) == []
    if layers > 1:
        # It is known before anything large is asked for.
        assert not proxy.requests(manifest["layers"][0]["digest"])


async def test_what_nobody_takes_up_again_is_given_up(
    tmp_path: Path, other: Engine, proxy: FaultProxy, registry: Registry
) -> None:
    image = image_of(1000, 2_700_000, seed="given up")
    await put_image(other, image, f"{registry.address}/t/given-up:1")
    large = large_blob(registry, 2_700_000)
    proxy.faults = [Fault(on=rf"{BLOB}sha256:{large}", status=403, times=99)]
    root = tmp_path / "given-up"
    now = time.time_ns()
    async with Engine.open(root, clock=lambda: now) as engine:
        with pytest.raises(LaminaError):
            await engine.image_create(from_image=f"{proxy.address}/t/given-up:1")
    day = 24 * 3600 * 10**9
    async with Engine.open(root, clock=lambda: now + 6 * day):
        assert left_in(root)
    async with Engine.open(root, clock=lambda: now + 8 * day):
        assert [path for path in left_in(root) if "blobs" in path.parts] == []
