import asyncio
import bz2
import gzip
import hashlib
import io
import json
import lzma
import tarfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from backports import zstd

from lamina.engine import Engine
from lamina.errors import DigestMismatch, InvalidArchive, InvalidLayer, UnsupportedMediaType
from lamina.oci.platform import Platform
from lamina.progress import LayerProgress
from lamina.streams import ByteSource
from tests.real import archives
from tests.real.images import (
    Image,
    directory,
    file,
    gzipped,
    layer,
    make_image,
    sha256,
    small_image,
    tar_of,
)
from tests.unit.engine.root_files import look_at, open_files
from tests.unit.engine.sources import load, members, pieces, save

IMAGE = small_image("load")
COMPRESSIONS = {"gzip": gzipped, "zstd": zstd.compress, "bzip2": bz2.compress, "xz": lzma.compress}
MIB = 1 << 20


def big_image(seed: str, size: int = 2 * MIB) -> Image:
    return make_image(layer(file("big", seed.encode() * (size // len(seed)))))


async def check_whole(engine: Engine, image: Image, name: str) -> None:
    """The image is listed, inspected, and its parts come out as they went in."""
    found = await engine.image_inspect(name)
    assert found.id == image.id
    assert found.root_fs.layers == list(image.diff_ids)
    saved = members(await save(engine, name))
    (entry,) = json.loads(saved["manifest.json"])
    assert saved[entry["Config"]] == image.config
    layers = [unpacked(saved[path]) for path in entry["Layers"]]
    assert [sha256(layer) for layer in layers] == found.root_fs.layers


def unpacked(data: bytes | str) -> bytes:
    assert isinstance(data, bytes)
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data)
    return zstd.decompress(data) if data.startswith(b"\x28\xb5\x2f\xfd") else data


@pytest.mark.parametrize("size", [1, 7, 511, 512, 4096, 1 << 20])
async def test_pieces_of_any_size_give_the_same(engine: Engine, root: Path, size: int) -> None:
    data = tar_of(archives.docker_archive((IMAGE, ["a:1", "b/c:2"])))
    assert await load(engine, data, size) == ["a:1", "b/c:2"]
    await check_whole(engine, IMAGE, "a:1")
    look_at(root).check_tidy()


@pytest.mark.parametrize("whole", ["", *COMPRESSIONS])
@pytest.mark.parametrize("layers", ["", *COMPRESSIONS])
async def test_archives_and_layers_in_every_compression(
    engine: Engine, root: Path, whole: str, layers: str
) -> None:
    data = tar_of(archives.docker_archive((IMAGE, ["a:1"]), compression=layers))
    await load(engine, COMPRESSIONS[whole](data) if whole else data)
    await check_whole(engine, IMAGE, "a:1")
    look_at(root).check_tidy()


def renamed(image: Image, name: str) -> dict[str, bytes]:
    """A docker-archive as crane, ko, jib and kaniko write it: the configuration has no suffix."""
    return {
        image.id: image.config,
        **{f"{number}.tar.gz": gzipped(data) for number, data in enumerate(image.layers)},
        "manifest.json": archives.dumps(
            [
                {
                    "Config": image.id,
                    "RepoTags": [name],
                    "Layers": [f"{number}.tar.gz" for number in range(len(image.layers))],
                }
            ]
        ),
    }


@pytest.mark.parametrize(
    "files",
    [
        archives.docker_archive((IMAGE, ["a:1"])),
        archives.docker_archive((IMAGE, ["a:1"]), extra=False),
        archives.oci_layout((IMAGE, ["a:1"])),
        archives.oci_layout((IMAGE, ["a:1"]), compression=""),
        archives.oci_layout((IMAGE, ["a:1"]), compression="zstd"),
        archives.oci_layout((IMAGE, ["a:1"]), docker=True),
        archives.oci_layout((IMAGE, ["a:1"]), manifest_json=True),
        renamed(IMAGE, "a:1"),
    ],
    ids=["docker", "bare", "oci", "plain", "zstd", "docker types", "both", "crane"],
)
@pytest.mark.parametrize("order", [1, -1])
async def test_formats_in_any_order(
    engine: Engine, root: Path, files: Mapping[str, bytes], order: int
) -> None:
    ordered = dict(list(files.items())[::order])
    await load(engine, tar_of(ordered))
    await check_whole(engine, IMAGE, "a:1")
    look_at(root).check_tidy()


def with_links(image: Image, kind: bytes) -> bytes:
    """A docker-archive in which each layer stands once under another name, and as links."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:

        def add(
            name: str, data: bytes = b"", *, kind: bytes = tarfile.REGTYPE, to: str = ""
        ) -> None:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(data), to
            tar.addfile(info, io.BytesIO(data))

        paths = []
        for number, data in enumerate(image.layers):
            add(f"real/{number}", data)
            target = f"../real/{number}" if kind == tarfile.SYMTYPE else f"real/{number}"
            add(f"dir{number}/first.tar", kind=kind, to=target)
            second = "/" + target.removeprefix("../") if kind == tarfile.SYMTYPE else target
            add(f"dir{number}/layer.tar", kind=kind, to=second)
            paths.append(f"dir{number}/layer.tar")
        add("config.json", image.config)
        manifest = [{"Config": "./config.json", "RepoTags": ["a:1"], "Layers": paths}]
        add("manifest.json", archives.dumps(manifest))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
async def test_layers_that_are_links(engine: Engine, root: Path, kind: bytes) -> None:
    await load(engine, with_links(IMAGE, kind))
    await check_whole(engine, IMAGE, "a:1")
    look_at(root).check_tidy()


async def test_links_in_a_circle_are_refused(engine: Engine, root: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, target in (("manifest.json", "x"), ("x", "manifest.json")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    with pytest.raises(InvalidArchive, match="too many levels of symbolic links"):
        await load(engine, buffer.getvalue())
    look_at(root).check_tidy()


async def test_an_empty_layer_is_one_of_no_bytes(engine: Engine) -> None:
    image = make_image(b"", layer(file("x", "1")))
    await load(engine, tar_of(archives.docker_archive((image, ["a:1"]))))
    await check_whole(engine, image, "a:1")


async def test_layers_that_are_here_may_be_left_out(engine: Engine, root: Path) -> None:
    base = make_image(layer(file("base", "x")))
    child = make_image(*base.layers, layer(file("child", "y")))
    await load(engine, tar_of(archives.docker_archive((base, ["base:1"]))))
    files = archives.docker_archive((child, ["child:1"]))
    left_out = next(name for name, data in files.items() if data == base.layers[0])
    del files[left_out]
    await load(engine, tar_of(files))
    await check_whole(engine, child, "child:1")
    look_at(root).check_tidy()


async def test_layers_that_are_nowhere_may_not(engine: Engine, root: Path) -> None:
    files = archives.docker_archive((IMAGE, ["a:1"]))
    left_out = next(name for name in files if name.endswith("layer.tar"))
    del files[left_out]
    with pytest.raises(InvalidArchive, match=f"open {left_out}: no such file"):
        await load(engine, tar_of(files))
    look_at(root).check_tidy()
    assert look_at(root).blobs == frozenset()


async def test_a_layer_that_is_here_in_another_compression_is_not_stored_again(
    engine: Engine, root: Path
) -> None:
    await load(engine, tar_of(archives.oci_layout((IMAGE, ["a:1"]), compression="gzip")))
    before = look_at(root).blobs
    await load(engine, tar_of(archives.docker_archive((IMAGE, ["b:1"]))))
    assert look_at(root).blobs == before


def platforms() -> list[Image]:
    return [
        make_image(layer(file("arch", name)), layer(file("other", name)), architecture=name)
        for name in ("s390x", "amd64", "arm64")
    ]


async def test_an_index_stays_whole_from_load_to_save_to_load(tmp_path: Path) -> None:
    images = platforms()
    files = archives.multi_platform_layout(images, "multi:1")
    index = json.loads(files["index.json"])["manifests"][0]
    blobs = {name for name in files if name.startswith("blobs/")}
    data = tar_of(files)
    for generation in ("first", "second"):
        async with Engine.open(tmp_path / generation) as engine:
            assert await load(engine, data) == ["multi:1"]
            data = await save(engine, "multi:1")
            look_at(tmp_path / generation).check_tidy()
        with tarfile.open(fileobj=io.BytesIO(data)) as saved:
            assert blobs <= set(saved.getnames())
            entries = json.load(saved.extractfile("index.json"))["manifests"]  # type: ignore[arg-type]
            assert [entry["digest"] for entry in entries] == [index["digest"]]


async def test_of_an_index_this_machines_image_is_taken(tmp_path: Path) -> None:
    images = platforms()
    data = tar_of(archives.multi_platform_layout(images, "multi:1"))
    for image in images:
        wanted = Platform.parse(f"linux/{image.parsed_config['architecture']}")
        root = tmp_path / wanted.architecture
        async with Engine.open(root, platform=wanted) as engine:
            await load(engine, data)
            assert (await engine.image_inspect("multi:1")).id == image.id


async def test_what_an_index_holds_beside_images_stays_with_it(engine: Engine, root: Path) -> None:
    files = archives.oci_layout((IMAGE, []))
    (image,) = json.loads(files["index.json"])["manifests"]
    # Longer than any document that is held in memory, and no layer.
    statement = b'{"predicate":"' + b"x" * (9 << 20) + b'"}'
    empty = b"{}"
    attestation = archives.dumps(
        {
            "schemaVersion": 2,
            "mediaType": archives.OCI_MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.empty.v1+json",
                "digest": sha256(empty),
                "size": len(empty),
            },
            "layers": [
                {
                    "mediaType": "application/vnd.in-toto+json",
                    "digest": sha256(statement),
                    "size": len(statement),
                }
            ],
        }
    )
    platform = {"architecture": "unknown", "os": "unknown"}
    index = archives.dumps(
        {
            "schemaVersion": 2,
            "mediaType": archives.OCI_INDEX,
            "manifests": [
                image,
                {
                    "mediaType": archives.OCI_MANIFEST,
                    "digest": sha256(attestation),
                    "size": len(attestation),
                    "platform": platform,
                },
            ],
        }
    )
    descriptor = {
        "mediaType": archives.OCI_INDEX,
        "digest": sha256(index),
        "size": len(index),
        "annotations": {"io.containerd.image.name": "docker.io/library/a:1"},
    }
    files["index.json"] = archives.dumps({"schemaVersion": 2, "manifests": [descriptor]})
    for data in (statement, empty, attestation, index):
        files["blobs/" + sha256(data).replace(":", "/")] = data
    assert await load(engine, tar_of(files)) == ["a:1"]
    with tarfile.open(fileobj=io.BytesIO(await save(engine, "a:1"))) as saved:
        assert {name for name in files if name.startswith("blobs/")} <= set(saved.getnames())
    look_at(root).check_tidy()
    await engine.image_delete("a:1")
    assert look_at(root).blobs == frozenset()


async def test_blobs_of_the_other_digest_algorithm(engine: Engine, root: Path) -> None:
    def add(data: bytes, media_type: str) -> dict[str, object]:
        hex = hashlib.sha512(data).hexdigest()
        files[f"blobs/sha512/{hex}"] = data
        return {"mediaType": media_type, "digest": f"sha512:{hex}", "size": len(data)}

    files: dict[str, bytes] = {}
    value = {
        "schemaVersion": 2,
        "mediaType": archives.OCI_MANIFEST,
        "config": add(IMAGE.config, archives.OCI_CONFIG),
        "layers": [add(data, archives.OCI_LAYER) for data in IMAGE.layers],
    }
    manifest = add(archives.dumps(value), archives.OCI_MANIFEST)
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "docker.io/library/a:1"}
    files["index.json"] = archives.dumps({"schemaVersion": 2, "manifests": [manifest]})
    await load(engine, tar_of(files))
    await check_whole(engine, IMAGE, "a:1")
    look_at(root).check_tidy()
    broken = dict(files)
    name = next(name for name, data in files.items() if data == IMAGE.config)
    broken[name] = IMAGE.config + b" "
    with pytest.raises(DigestMismatch):
        await load(engine, tar_of(broken))


async def test_indexes_that_refer_to_each_other_many_times_cost_little(engine: Engine) -> None:
    files = archives.oci_layout((IMAGE, []))
    (descriptor,) = json.loads(files["index.json"])["manifests"]
    for _ in range(6):
        # Read anew for each reference, these would be 200^6 readings.
        index = archives.dumps({"schemaVersion": 2, "manifests": [descriptor] * 200})
        files["blobs/" + sha256(index).replace(":", "/")] = index
        descriptor = {"mediaType": archives.OCI_INDEX, "digest": sha256(index), "size": len(index)}
    files["index.json"] = archives.dumps({"schemaVersion": 2, "manifests": [descriptor]})
    assert await load(engine, tar_of(files)) == [IMAGE.id]


async def test_schema_1_is_refused_by_name(engine: Engine) -> None:
    raw = b'{"schemaVersion":1,"fsLayers":[]}'
    descriptor = {
        "mediaType": "application/vnd.docker.distribution.manifest.v1+json",
        "digest": sha256(raw),
        "size": len(raw),
    }
    files = {
        "index.json": archives.dumps({"schemaVersion": 2, "manifests": [descriptor]}),
        "blobs/" + sha256(raw).replace(":", "/"): raw,
    }
    with pytest.raises(UnsupportedMediaType, match="schema 1 support has been removed"):
        await load(engine, tar_of(files))


def manifest_json(**item: object) -> bytes:
    return archives.dumps([{"Config": "c.json", "RepoTags": None, "Layers": [], **item}])


def config(**extra: object) -> bytes:
    return make_image(extra=extra).config


DEEP = [sha256(bytes([number])) for number in range(126)]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "does not contain a manifest.json"),
        ({"manifest.json": manifest_json()}, "open c.json: no such file or directory"),
        (
            {"manifest.json": manifest_json(Layers=["x"]), "c.json": config()},
            "layers length mismatch: expected 1, got 0",
        ),
        (
            {"manifest.json": manifest_json(), "c.json": config(os="windows")},
            "cannot load windows image on linux",
        ),
        (
            {"manifest.json": manifest_json(RepoTags=["x@" + DEEP[0]]), "c.json": config()},
            "invalid tag",
        ),
        (
            {"manifest.json": manifest_json(), "c.json": config(history=[{}])},
            "too many non-empty layers in History section",
        ),
        (
            {
                "manifest.json": manifest_json(Layers=DEEP),
                "c.json": config(rootfs={"type": "layers", "diff_ids": DEEP}),
            },
            "max depth exceeded",
        ),
        (
            {
                "manifest.json": manifest_json(Layers=["manifest.json"]),
                "c.json": config(rootfs={"type": "layers", "diff_ids": DEEP[:1]}),
            },
            "manifest.json is not a layer",
        ),
        (
            {
                "manifest.json": manifest_json(Layers=["l"]),
                "c.json": config(rootfs={"type": "layers", "diff_ids": DEEP[:1]}),
                "l": layer(file("x")),
            },
            'invalid diffID for layer 0: expected "sha256:',
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_archives_whose_parts_do_not_fit(
    engine: Engine, root: Path, files: Mapping[str, bytes], message: str
) -> None:
    with pytest.raises(InvalidArchive, match=message):
        await load(engine, tar_of(files))
    look_at(root).check_tidy()
    assert look_at(root).blobs == frozenset()


@pytest.mark.parametrize("compression", ["", "gzip"])
async def test_a_broken_layer(engine: Engine, root: Path, compression: str) -> None:
    files = archives.docker_archive((IMAGE, ["a:1"]), compression=compression)
    name = next(name for name in files if name.endswith("layer.tar"))
    files[name] = files[name][: len(files[name]) // 2 if compression else 300]
    with pytest.raises(InvalidLayer):
        await load(engine, tar_of(files))
    look_at(root).check_tidy()
    assert look_at(root).blobs == frozenset()


async def test_too_many_bytes_of_json(engine: Engine, root: Path) -> None:
    async def source() -> AsyncIterator[bytes]:
        for number in range(6):
            info = tarfile.TarInfo(f"{number}.json")
            info.size = 8 << 20
            yield info.tobuf() + b" " * info.size

    with pytest.raises(InvalidArchive, match=r"4.json is too large"):
        await engine.image_load(source())
    look_at(root).check_tidy()


async def test_names_of_members_are_bounded(engine: Engine) -> None:
    async def source() -> AsyncIterator[bytes]:
        for number in range(3000):
            info = tarfile.TarInfo(f"{number}/" + "x" * 4000)
            info.type, info.linkname = tarfile.SYMTYPE, "y"
            yield info.tobuf(tarfile.PAX_FORMAT)

    with pytest.raises(InvalidArchive, match="more than"):
        await engine.image_load(source())


async def test_a_null_manifest_is_no_image(engine: Engine, root: Path) -> None:
    assert await load(engine, tar_of({"manifest.json": b"null\n"})) == []
    look_at(root).check_tidy()


@pytest.mark.parametrize(
    ("created", "listed"),
    [("9999-12-31T23:59:59Z", 9223372036), ("0001-01-01T00:00:01Z", -9223372037)],
)
async def test_an_image_of_any_year(engine: Engine, created: str, listed: int) -> None:
    image = make_image(layer(file("x")), created=created)
    await load(engine, tar_of(archives.docker_archive((image, ["year:1"]))))
    await check_whole(engine, image, "year:1")
    assert (await engine.image_inspect("year:1")).created == created
    # The records count nanoseconds, of which 64 bits hold those of some centuries.
    assert [summary.created for summary in await engine.image_list()] == [listed]


async def progress(engine: Engine, data: bytes, size: int = 1 << 16) -> list[LayerProgress]:
    return [
        event
        async for event in engine.image_load(pieces(data, size))
        if isinstance(event, LayerProgress)
    ]


@pytest.mark.parametrize("form", ["docker 25", "podman", "saved by Lamina"])
async def test_a_long_layer_is_told_as_it_comes(tmp_path: Path, form: str) -> None:
    image = big_image("0123456789abcdef", 8 * MIB)
    diff_id = image.diff_ids[0].removeprefix("sha256:")
    path, stored = f"blobs/sha256/{diff_id}", image.layers[0]
    if form == "podman":
        path = f"{diff_id}.tar"
    data = tar_of(
        {
            path: stored,
            "c.json": image.config,
            "manifest.json": manifest_json(Layers=[path], RepoTags=["big:1"]),
        }
    )
    if form == "saved by Lamina":
        async with Engine.open(tmp_path / "other") as other:
            await load(other, tar_of(archives.oci_layout((image, ["big:1"]), compression="")))
            data = await save(other, "big:1")
    async with Engine.open(tmp_path / "root") as engine:
        told = await progress(engine, data)
        assert {event.id for event in told} == {diff_id[:12]}
        assert {event.total for event in told} == {len(stored)}
        amounts = [event.current for event in told if event.current is not None]
        assert len(amounts) > 10
        assert amounts == sorted(amounts)
        assert amounts[-1] == len(stored)
        assert amounts[0] < len(stored) // 4
        # What is here already is not told again.
        assert await progress(engine, data) == []


async def test_a_layer_whose_diff_id_nobody_tells_is_told_at_its_end(engine: Engine) -> None:
    image = big_image("fedcba9876543210")
    data = tar_of(archives.docker_archive((image, ["big:1"])))
    told = await progress(engine, data)
    assert [(event.id, event.current) for event in told] == [
        (image.diff_ids[0][7:19], len(image.layers[0]))
    ]


async def test_a_wrong_claim_does_no_harm(engine: Engine, root: Path) -> None:
    image, other = big_image("0123456789abcdef"), big_image("fedcba9876543210")
    files = {
        "manifest.json": manifest_json(Layers=["l"], RepoTags=["big:1"]),
        "c.json": image.config,
        "l": other.layers[0],
    }
    with pytest.raises(InvalidArchive, match="invalid diffID"):
        await load(engine, tar_of(files))
    look_at(root).check_tidy()


async def test_a_name_that_moves_within_one_archive_is_told(engine: Engine) -> None:
    first, second = small_image("first"), small_image("second")
    data = tar_of(archives.docker_archive((first, ["a:1"]), (second, ["a:1"])))
    texts = [
        event.text
        async for event in engine.image_load(pieces(data), quiet=True)
        if hasattr(event, "text")
    ]
    assert texts == [
        "Loaded image: a:1\n",
        f"The image a:1 already exists, renaming the old one with ID {first.id} to empty string\n",
        "Loaded image: a:1\n",
    ]
    assert (await engine.image_inspect("a:1")).id == second.id


async def test_a_parent_is_taken_where_the_history_agrees(engine: Engine) -> None:
    base = make_image(layer(file("base")))
    child = make_image(*base.layers, layer(file("child")))
    alone = make_image(layer(file("alone")), history=[])
    files = archives.docker_archive((base, []), (child, ["child:1"]), (alone, ["alone:1"]))
    items = json.loads(files["manifest.json"])
    items[1]["Parent"] = base.id
    # Its own parent: a circle, which would never end.
    items[2]["Parent"] = alone.id
    files["manifest.json"] = archives.dumps(items)
    await load(engine, tar_of(files))
    assert (await engine.image_inspect("child:1")).parent == base.id
    assert (await engine.image_inspect("alone:1")).parent == ""


class Interruption:
    """A source that stops half-way, and says so."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at
        self.reached = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._data[: self._at]
        self.reached.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize("part", range(8))
async def test_cancelled_while_bytes_are_awaited(engine: Engine, root: Path, part: int) -> None:
    data = tar_of(archives.docker_archive((big_image("0123456789abcdef"), ["a:1"]), (IMAGE, [])))
    before = open_files()
    source = Interruption(data, len(data) * part // 8)
    task = asyncio.ensure_future(_await(engine, source))
    await source.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    after = look_at(root)
    after.check_tidy()
    assert after.blobs == frozenset()
    assert after.events == ()
    assert open_files() - before == set()


async def _await(engine: Engine, source: ByteSource) -> None:
    await engine.image_load(source)


async def test_cancelled_anywhere(tmp_path: Path) -> None:
    root = tmp_path / "root"
    data = tar_of(archives.oci_layout((IMAGE, ["a:1"])))
    loaded = 0
    async with Engine.open(root) as engine:
        before = open_files()
        rounds = 60
        for number in range(rounds):
            task = asyncio.ensure_future(_await(engine, pieces(data, 4096)))
            for _ in range(int(1.2**number)):
                # The loop runs once: somewhere in the middle of the load.
                await asyncio.sleep(0)
                if task.done():
                    break
            if number < rounds - 1:
                task.cancel()
            await asyncio.wait({task})
            # After what the load left to be ended.
            await engine.image_prune()
            after = look_at(root)
            after.check_tidy()
            if after.images:
                loaded += 1
                await check_whole(engine, IMAGE, "a:1")
                await engine.image_delete("a:1")
        # The first is cancelled at its very beginning, the last not at all.
        assert 0 < loaded < rounds
        assert [action for action, _ in look_at(root).events].count("load") == loaded
        assert {name for name in open_files() - before if str(root) in name} == set()


async def test_many_loads_at_once_whose_readers_are_slow(tmp_path: Path) -> None:
    """More than there are worker threads: none may wait in one for its reader."""
    images = [big_image(f"{number:016}", 80 * MIB // 100) for number in range(40)]
    async with Engine.open(tmp_path / "root") as engine:
        operations = [
            engine.image_load(pieces(tar_of(archives.docker_archive((image, [f"n:{number}"])))))
            for number, image in enumerate(images)
        ]
        iterators = [aiter(operation) for operation in operations[:39]]
        # Each has begun, and nobody reads on.
        for iterator in iterators:
            await anext(iterator)
        assert await operations[39] == ["n:39"]
        for iterator in iterators:
            await iterator.aclose()
        await engine.image_prune(filters={"dangling": False})
    look_at(tmp_path / "root").check_tidy()


async def test_two_loads_of_one_archive_at_once(engine: Engine, root: Path) -> None:
    data = tar_of(archives.docker_archive((IMAGE, ["a:1"])))
    await asyncio.gather(*(load(engine, data) for _ in range(6)))
    await check_whole(engine, IMAGE, "a:1")
    look_at(root).check_tidy()


async def test_loads_and_deletions_at_once(engine: Engine, root: Path) -> None:
    """They share layers, so each deletion frees what another load relies on."""
    base = layer(directory("base"), file("base/x", "x" * 1000))
    images = [make_image(base, layer(file(f"{number}", "y"))) for number in range(4)]

    async def cycle(number: int) -> None:
        data = tar_of(archives.docker_archive((images[number], [f"n:{number}"])))
        for _ in range(4):
            await load(engine, data)
            await check_whole(engine, images[number], f"n:{number}")
            await engine.image_delete(f"n:{number}")

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(cycle(number))
    look_at(root).check_tidy()
    assert look_at(root).blobs == frozenset()
