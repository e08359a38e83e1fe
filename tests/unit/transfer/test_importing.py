import asyncio
import bz2
import lzma
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from backports import zstd

from lamina.engine import Engine
from lamina.errors import (
    Forbidden,
    InvalidLayer,
    InvalidParameter,
    LaminaError,
    NotFound,
    Unauthorized,
)
from lamina.oci.platform import host
from lamina.progress import Event, LayerProgress, StatusLine
from lamina.registry.connection_error import ConnectionFailed
from tests.real.images import file, gzipped, layer, sha256
from tests.unit.engine.root_files import look_at, open_files
from tests.unit.engine.sources import pieces

ROOTFS = layer(file("etc/name", "x" * 1000), file("bin/sh", "y" * 5000, 0o755))
NOW = 1_700_000_000_123_456_789


async def import_(
    engine: Engine, data: bytes = ROOTFS, *, repo: str = "", tag: str = "", platform: str = ""
) -> str:
    return await engine.image_create(
        from_src="-", input_image=pieces(data), repo=repo, tag=tag, platform=platform
    )


@pytest.mark.parametrize("compress", [bytes, gzipped, bz2.compress, lzma.compress, zstd.compress])
async def test_a_tarball_becomes_an_image_of_one_layer(
    engine: Engine, root: Path, compress: object
) -> None:
    assert callable(compress)
    image_id = await import_(engine, compress(ROOTFS), repo="a", tag="1")
    found = await engine.image_inspect("a:1")
    assert found.id == image_id
    assert found.root_fs.layers == [sha256(ROOTFS)]
    assert found.size == 6000
    assert found.comment == "Imported from -"
    assert (found.os, found.architecture) == (host().os, host().architecture)
    assert look_at(root).events == (("tag", image_id), ("import", image_id))
    look_at(root).check_tidy()


async def test_what_the_caller_says_of_it(tmp_path: Path) -> None:
    async with Engine.open(tmp_path / "root", clock=lambda: NOW) as engine:
        operation = engine.image_create(
            from_src="-",
            message="made by hand",
            changes=["CMD echo hi", "ENV A=b"],
            platform="linux/arm/v6",
            input_image=pieces(ROOTFS),
        )
        events = [event async for event in operation]
        assert events == [StatusLine(operation.result)]
        found = await engine.image_inspect(operation.result)
        assert found.created.startswith("2023-11-14T22:13:20.123456")
        assert (found.architecture, found.variant) == ("arm", "v6")
        assert found.config is not None
        assert found.config.cmd == ("/bin/sh", "-c", "echo hi")
        assert found.config.env == ("A=b",)
        (entry,) = await engine.image_history(operation.result)
        assert (entry.comment, entry.size) == ("made by hand", 6000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repo": "Upper"}, "must be lowercase"),
        ({"repo": "x@" + sha256(b"")}, "cannot import digest reference"),
        ({"repo": "x", "tag": "a b"}, "invalid tag format"),
        ({"platform": "x/y/z/w"}, "cannot parse platform specifier"),
    ],
)
async def test_refused_before_a_byte_is_read(
    engine: Engine, root: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidParameter, match=message):
        await engine.image_create(from_src="-", input_image=pieces(ROOTFS), **options)
    assert look_at(root).events == ()


async def test_a_change_that_is_none(engine: Engine) -> None:
    with pytest.raises(InvalidParameter, match="FROM is not a valid change command"):
        await engine.image_create(from_src="-", changes=["FROM x"], input_image=pieces(ROOTFS))


@pytest.mark.parametrize("data", [b"no tar" * 1000, gzipped(ROOTFS)[:-20], ROOTFS[:700]])
async def test_what_is_no_tar(engine: Engine, root: Path, data: bytes) -> None:
    with pytest.raises(InvalidLayer):
        await import_(engine, data)
    look_at(root).check_tidy()
    assert look_at(root).blobs == frozenset()


async def test_cancelled_anywhere(engine: Engine, root: Path) -> None:
    before, rounds, imported = open_files(), 60, 0
    for number in range(rounds):
        task = asyncio.create_task(import_(engine, repo="a"))
        for _ in range(int(1.2**number)):
            await asyncio.sleep(0)
            if task.done():
                break
        if number < rounds - 1:
            task.cancel()
        await asyncio.wait({task})
        await engine.image_prune()
        after = look_at(root)
        after.check_tidy()
        if after.images:
            imported += 1
            await engine.image_delete("a", force=True)
    assert 0 < imported < rounds
    assert {name for name in open_files() - before if str(root) in name} == set()


@pytest.fixture
async def web_server() -> AsyncIterator[str]:
    """A server that has the tarball at /rootfs.tar, and refuses with the status in the path."""

    async def handle(request: web.BaseRequest) -> web.Response:
        if request.path == "/rootfs.tar":
            return web.Response(body=ROOTFS)
        return web.Response(status=int(request.path[1:]), text="no\n")

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"{host}:{port}"
    await runner.cleanup()


async def events_of(engine: Engine, source: str) -> list[Event]:
    return [event async for event in engine.image_create(from_src=source, repo="a")]


@pytest.mark.parametrize("scheme", ["http://", ""])
async def test_from_a_url(engine: Engine, web_server: str, scheme: str) -> None:
    events = await events_of(engine, f"{scheme}{web_server}/rootfs.tar")
    url = f"http://{web_server}/rootfs.tar"
    assert events[0] == StatusLine(f"Downloading from {url}")
    progress = [event for event in events if isinstance(event, LayerProgress)]
    assert progress[-1] == LayerProgress("", "Importing", len(ROOTFS), len(ROOTFS))
    found = await engine.image_inspect("a")
    assert events[-1] == StatusLine(found.id)
    assert found.comment == f"Imported from {url}"


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, InvalidParameter), (401, Unauthorized), (403, Forbidden), (404, NotFound)],
)
async def test_refusals_keep_their_kind(
    engine: Engine, web_server: str, status: int, error: type[LaminaError]
) -> None:
    with pytest.raises(error, match=f"failed to GET http://{web_server}/{status} with status"):
        await events_of(engine, f"{web_server}/{status}")


async def test_other_failures_are_the_engines(engine: Engine, root: Path, web_server: str) -> None:
    with pytest.raises(LaminaError, match=r"with status 503 Service Unavailable: no$") as caught:
        await events_of(engine, f"{web_server}/503")
    assert type(caught.value) is LaminaError
    host, _, _ = web_server.partition(":")
    with pytest.raises(LaminaError, match=f'Get "http://{host}:1/x": dial tcp {host}:1: connect: '):
        await events_of(engine, f"{host}:1/x")
    for unknown in ("nohost.invalid", "a" * 64 + ".invalid"):
        with pytest.raises(ConnectionFailed, match=f"dial tcp: lookup {unknown}: no such host$"):
            await events_of(engine, f"http://{unknown}/x")
    with pytest.raises(LaminaError, match='unsupported protocol scheme "file"'):
        await events_of(engine, "file:///etc/passwd")
    look_at(root).check_tidy()


async def test_many_changes_leave_the_event_loop_to_others(engine: Engine) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    changes = [*(f"ENV v{number}=x" for number in range(1000)), "EXPOSE x:y:z"]
    with pytest.raises(InvalidParameter):
        await engine.image_create(from_src="-", input_image=[], changes=changes)
    task.cancel()
    assert turns > 10


async def test_changes_that_add_up_to_what_nobody_could_read(engine: Engine, root: Path) -> None:
    doubled = [f"ENV a={'8' * 60_000}", *["ENV a=$a$a"] * 4]
    changes = [*doubled, *(f"ENV b{number}=$a" for number in range(14))]
    with pytest.raises(InvalidParameter, match="image configuration is larger than"):
        await engine.image_create(from_src="-", input_image=[ROOTFS], changes=changes)
    assert await engine.image_list() == []
    look_at(root).check_tidy()
