"""load, save and import, through the same interface on three backends."""

import asyncio
import functools
import http.server
import io
import json
import tarfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict, Unpack

import msgspec
import pytest

from lamina.errors import (
    ImageNotFound,
    InvalidParameter,
    LaminaError,
    NotFound,
)
from lamina.progress import Event, LayerProgress, Operation, StatusLine, StreamText
from lamina.streams import ByteSource
from tests.conformance.engines import Backend, EngineApi, load, names_of, plain, refused, saved
from tests.conformance.stock import BASE, DANGLING, LABELLED, PLAIN, SECOND, family_archive
from tests.real.archives import docker_archive
from tests.real.images import sha256, tar_of

ARCHIVE = tar_of(docker_archive((PLAIN, ["a:1", "b:2"]), (DANGLING, [])))


async def drops(data: bytes, size: int = 700) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def unpacked(archive: bytes) -> dict[str, bytes]:
    """Every file of a tar archive; links give what they point to."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {
            member.name: file.read()
            for member in tar
            if not member.isdir() and (file := tar.extractfile(member))
        }


def contents(archive: bytes) -> dict[str, Any]:
    """What is in a saved archive, however its files are called."""
    files = unpacked(archive)
    entries = sorted(json.loads(files["manifest.json"]), key=lambda e: sha256(files[e["Config"]]))
    for path in {path.split("/")[0] for entry in entries for path in entry["Layers"]}:
        assert path == "blobs" or {f"{path}/VERSION", f"{path}/json"} <= set(files)
    named = json.loads(files.get("repositories", b"{}"))
    tops = {top for tags in named.values() for top in tags.values()}
    assert all(json.loads(files[f"{top}/json"])["id"] == top for top in tops)
    return {
        "images": [
            {
                "id": sha256(files[entry["Config"]]),
                "names": sorted(entry["RepoTags"] or []),
                "layers": [sha256(files[path]) for path in entry["Layers"]],
                "parent": entry.get("Parent", ""),
            }
            for entry in entries
        ],
        # dockerd calls a layer by a digest of its own making.
        "repositories": {name: sorted(tags) for name, tags in named.items()},
    }


@pytest.mark.parametrize("kind", ["file", "path", "chunks"])
async def test_load_from_every_kind_of_source(backend: Backend, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "images.tar"
    path.write_bytes(ARCHIVE)
    sources: dict[str, Callable[[], ByteSource]] = {
        "file": lambda: io.BytesIO(ARCHIVE),
        "path": lambda: path,
        "chunks": lambda: drops(ARCHIVE),
    }

    async def scenario(api: EngineApi) -> object:
        loaded = await api.image_load(sources[kind]())
        # As the last image has no name, all are told by ID as well.
        assert loaded == ["a:1", "b:2", PLAIN.id, DANGLING.id]
        assert await names_of(api) == {PLAIN.id: ["a:1", "b:2"], DANGLING.id: []}
        return loaded

    await backend.agrees(scenario)


async def test_load_without_names_tells_ids(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        loaded = await load(api, PLAIN)
        assert loaded == [PLAIN.id]
        return loaded

    await backend.agrees(scenario)


@pytest.mark.parametrize("quiet", [False, True])
async def test_load_tells_its_progress(backend: Backend, quiet: bool) -> None:  # noqa: FBT001
    async def scenario(api: EngineApi) -> object:
        events = [e async for e in api.image_load(io.BytesIO(ARCHIVE), quiet=quiet)]
        layers = [event for event in events if isinstance(event, LayerProgress)]
        texts = [event.text for event in events if isinstance(event, StreamText)]
        assert texts == [
            "Loaded image: a:1\n",
            "Loaded image: b:2\n",
            f"Loaded image ID: {PLAIN.id}\nLoaded image ID: {DANGLING.id}\n",
        ]
        if quiet:
            assert not layers
        else:
            assert {e.id for e in layers} <= {d[7:19] for d in PLAIN.diff_ids + DANGLING.diff_ids}
            assert {event.action for event in layers} == {"Loading layer"}
        # How often is a matter of time; which layers, in which order, to which end is not.
        ends = {event.id: (event.current, event.total) for event in layers}
        return texts, list(ends.items())

    await backend.agrees(scenario)


async def test_load_tells_of_names_that_move(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        await load(api, LABELLED, "a:1")
        events = [e async for e in api.image_load(io.BytesIO(ARCHIVE), quiet=True)]
        texts = [event.text for event in events if isinstance(event, StreamText)]
        assert LABELLED.id in texts[0]
        return texts, await names_of(api)

    await backend.agrees(scenario)


@pytest.mark.parametrize("body", [b"", b"no tar at all" * 100, ARCHIVE[:3000]], ids=len)
async def test_a_broken_archive_leaves_nothing(backend: Backend, body: bytes) -> None:
    async def scenario(api: EngineApi) -> object:
        # The words hold paths of dockerd's own.
        assert await refused(api.image_load(io.BytesIO(body)), LaminaError)
        return await names_of(api)

    await backend.agrees(scenario)


async def test_loads_side_by_side(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        archives = [ARCHIVE, ARCHIVE, family_archive(), tar_of(docker_archive((LABELLED, ["l:1"])))]
        await asyncio.gather(*(api.image_load(io.BytesIO(a), quiet=True) for a in archives))
        return plain(await api.image_list(all=True))

    await backend.agrees(scenario)


async def test_save_by_name_and_load_again(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        await api.image_load(io.BytesIO(ARCHIVE), quiet=True)
        before = plain(await api.image_inspect("a:1"), "RepoTags")
        archive = await saved(api, "a:1")
        told = contents(archive)
        assert told["images"] == [
            {"id": PLAIN.id, "names": ["a:1"], "layers": list(PLAIN.diff_ids), "parent": ""}
        ]
        await api.image_delete(PLAIN.id, force=True)
        await api.image_load(io.BytesIO(archive), quiet=True)
        assert plain(await api.image_inspect("a:1"), "RepoTags") == before
        return told

    await backend.agrees(scenario)


@pytest.mark.parametrize(
    ("names", "tagged"),
    [
        ("a", ["a:1", "a:2"]),
        ("docker.io/library/a:2", ["a:2"]),
        (PLAIN.id, []),
        (PLAIN.id.removeprefix("sha256:")[:12], []),
        (["a:1", "b:1"], ["a:1", "b:1"]),
        (["a:1", PLAIN.id], ["a:1"]),
        (["a", "b"], ["a:1", "a:2", "b:1"]),
        ([PLAIN.id, DANGLING.id], []),
        ([], []),
    ],
    ids=str,
)
async def test_save_by_every_kind_of_name(
    backend: Backend, names: str | list[str], tagged: list[str]
) -> None:
    async def scenario(api: EngineApi) -> object:
        await load(api, PLAIN, "a:1", "a:2", "b:1")
        await load(api, DANGLING)
        told = contents(await saved(api, names)) if names else await saved_nothing(api)
        assert sorted(n for image in told["images"] for n in image["names"]) == tagged
        assert bool(told["repositories"]) == bool(tagged)
        return told

    await backend.agrees(scenario)


async def saved_nothing(api: EngineApi) -> dict[str, Any]:
    files = unpacked(await saved(api, []))
    assert json.loads(files["manifest.json"]) in (None, [])
    return {"images": [], "repositories": {}}


async def test_save_keeps_a_family(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        await api.image_load(io.BytesIO(family_archive(names={"parent": ["p:1"]})), quiet=True)
        told = contents(await saved(api, ["child:1", "p:1"]))
        return told["images"]

    await backend.agrees(scenario)


@pytest.mark.parametrize(
    ("names", "error"),
    [
        ("none:1", NotFound),
        (["a:1", "none:1"], NotFound),
        (["a:none"], NotFound),
        ("0123456789ab", ImageNotFound),
        # dockerd 20.10 answers 500 to a bad name, 23.0 and later 400.
        ("Bad", LaminaError),
    ],
    ids=str,
)
async def test_save_refuses(
    backend: Backend, names: str | list[str], error: type[LaminaError]
) -> None:
    async def scenario(api: EngineApi) -> object:
        await load(api, PLAIN, "a:1")
        return await refused(saved(api, names), error)

    await backend.agrees(scenario)


class Options(TypedDict, total=False):
    repo: str
    tag: str
    message: str
    changes: list[str]
    platform: str


def imported(
    api: EngineApi, data: bytes | None = BASE, *, from_src: str = "-", **options: Unpack[Options]
) -> Operation[str]:
    source = None if data is None else io.BytesIO(data)
    return api.image_create(from_src=from_src, input_image=source, **options)


async def test_import(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        image_id = await imported(
            api,
            repo="registry.example:5000/x/y",
            tag="1",
            message="by hand",
            changes=["CMD a b", "ENV A=1 B=2", "LABEL x=y", "WORKDIR /w", "EXPOSE 80"],
        )
        inspected = await api.image_inspect("registry.example:5000/x/y:1")
        assert inspected.id == image_id
        assert inspected.root_fs.layers == [sha256(BASE)]
        assert inspected.comment == "by hand"
        history = plain(await api.image_history(image_id), "Id", "Created")
        return plain(inspected, "Id", "Created", "LastTagTime", "DockerVersion"), history

    await backend.agrees(scenario)


async def test_import_for_a_platform(backend: Backend) -> None:
    async with backend.opened() as api:
        await imported(api, repo="a", platform="linux/arm/v7")
        inspected = await api.image_inspect("a")
        if backend.name == "dockerd":
            # 20.10 takes only the OS from it; 23.0 and later all of it.
            assert (inspected.os, inspected.variant) == ("linux", msgspec.UNSET)
        else:
            platform = inspected.os, inspected.architecture, inspected.variant
            assert platform == ("linux", "arm", "v7")


async def test_import_tells_the_id(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        events = [event async for event in imported(api, SECOND)]
        assert isinstance(events[-1], StatusLine)
        assert list(await names_of(api)) == [events[-1].text]
        return len(events), plain(await api.image_list(), "Id", "Created")

    await backend.agrees(scenario)


async def test_import_moves_a_name(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> None:
        first = await imported(api, BASE, repo="a:1")
        second = await imported(api, SECOND, repo="a", tag="1")
        assert first != second
        assert await names_of(api) == {first: [], second: ["a:1"]}

    await backend.agrees(scenario)


@contextmanager
def web_server(directory: Path) -> Iterator[str]:
    """The address of a web server with the files of a directory."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    handler = functools.partial(Quiet, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


async def test_import_from_a_url(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "rootfs.tar").write_bytes(BASE)
    with web_server(tmp_path) as address:

        async def scenario(api: EngineApi) -> object:
            url = f"http://{address}/rootfs.tar"
            events: list[Event] = []
            for source in (url, url.removeprefix("http://")):
                operation = imported(api, None, from_src=source, repo="a")
                events = [event async for event in operation]
                inspected = await api.image_inspect("a")
                assert inspected.root_fs.layers == [sha256(BASE)]
                assert inspected.comment == f"Imported from {url}"
            missing = imported(api, None, from_src=f"http://{address}/none.tar")
            message = await refused(missing, LaminaError)
            lines = [event.text for event in events if isinstance(event, StatusLine)]
            told = [*lines[:-1], message.partition("\n")[0]]
            return [line.replace(address, "ADDRESS") for line in told]

        await backend.agrees(scenario)


@pytest.mark.parametrize(
    "options",
    [
        {"repo": "Bad"},
        {"repo": "a", "tag": "bad tag"},
        {"repo": "a@sha256:" + "0" * 64},
        {"changes": ["FROM x"]},
        {"changes": ["CMD x", "RUN y"]},
        {"changes": ["EXPOSE banana"]},
        {"platform": "a/b/c/d"},
    ],
    ids=str,
)
async def test_import_refuses(backend: Backend, options: Options) -> None:
    async def scenario(api: EngineApi) -> object:
        message = await refused(imported(api, **options), InvalidParameter)
        assert await names_of(api) == {}
        # Since 27.0 an instruction is named as it was written.
        return message.lower()

    await backend.agrees(scenario)
