import asyncio
import io
import json
import tarfile
from pathlib import Path

import pytest

from lamina.engine import Engine
from lamina.errors import ImageNotFound, InvalidReference, NotFound
from tests.real import archives
from tests.real.images import (
    Image,
    directory,
    file,
    layer,
    make_image,
    sha256,
    small_image,
    symlink,
    tar_of,
)
from tests.unit.engine.root_files import look_at, open_files
from tests.unit.engine.sources import load, members, save

FIRST, SECOND = small_image("first"), small_image("second")


@pytest.mark.parametrize("form", ["docker", "oci", "legacy"])
async def test_the_same_images_give_the_same_bytes_in_every_root(tmp_path: Path, form: str) -> None:
    tagged = [(FIRST, ["a:1", "b:2"]), (SECOND, ["a:2"])]
    if form == "docker":
        files = archives.docker_archive(*tagged)
    elif form == "oci":
        files = archives.oci_layout(*tagged)
    else:
        files = archives.legacy_archive(*tagged)
    data, saved = tar_of(files), []
    for root in ("first", "second"):
        async with Engine.open(tmp_path / root) as engine:
            await load(engine, data)
            saved.append(await save(engine, "a", "b:2"))
            saved.append(await save(engine, "a", "b:2"))
            # What was saved is what the next root is given.
            data = saved[-1]
    assert len(set(saved)) == 1


async def test_directories_of_layers_have_the_names_that_dockerd_gives_them(engine: Engine) -> None:
    image = make_image(
        layer(directory("a"), file("a/b", "hello")),
        layer(file("c", "x" * 100)),
        layer(symlink("l", "c")),
    )
    assert image.id == "sha256:" + IMAGE_OF_DOCKERD
    await load(engine, tar_of(archives.docker_archive((image, ["qa/v1:1"]))))
    saved = members(await save(engine, "qa/v1:1"))
    assert json.loads(saved["repositories"]) == {"qa/v1": {"1": TOP_OF_DOCKERD}}
    directories = [name.split("/")[0] for name in saved if name.endswith("/VERSION")]
    assert directories == [*LOWER_OF_DOCKERD, TOP_OF_DOCKERD]
    assert json.loads(saved[f"{TOP_OF_DOCKERD}/json"])["parent"] == LOWER_OF_DOCKERD[-1]


# As dockerd 20.10 saves it.
IMAGE_OF_DOCKERD = "74e5edb8e7112601c2beb127fed01a4dd699ff03b1b4e7400164a9c0acead697"
TOP_OF_DOCKERD = "3c1b7b63a8e20e0ff64cb617036e48960301ab430921ecf91fb4868099e71985"
LOWER_OF_DOCKERD = [
    "48c7660f18baa9019a3abf876de46862afd767c7af2e10584dcc3bcbdd84ef11",
    "96d1f55aedc2cf03d56edd88006478a8f57518b86f531133f247405fcf17bde0",
]


async def test_every_format_leads_to_every_layer(engine: Engine) -> None:
    await load(engine, tar_of(archives.docker_archive((FIRST, ["a:1"]))))
    saved = members(await save(engine, "a:1"))
    (item,) = json.loads(saved["manifest.json"])
    assert item["RepoTags"] == ["a:1"]
    assert [saved[path] for path in item["Layers"]] == list(FIRST.layers)
    linked = [
        saved[str(target).removeprefix("../")]
        for name, target in saved.items()
        if name.endswith("/layer.tar")
    ]
    assert linked == list(FIRST.layers)
    (entry,) = json.loads(saved["index.json"])["manifests"]
    manifest = json.loads(saved["blobs/" + entry["digest"].replace(":", "/")])
    assert [layer["digest"] for layer in manifest["layers"]] == list(FIRST.diff_ids)
    assert manifest["config"]["digest"] == FIRST.id
    for name, content in saved.items():
        if name.startswith("blobs/sha256/") and isinstance(content, bytes):
            assert sha256(content) == "sha256:" + name.rpartition("/")[2]


async def test_shared_layers_stand_once(engine: Engine) -> None:
    base = layer(file("base", "x"))
    images = [make_image(base, layer(file(name))) for name in ("a", "b")]
    tagged = [(image, [f"n:{number}"]) for number, image in enumerate(images)]
    await load(engine, tar_of(archives.docker_archive(*tagged)))
    with tarfile.open(fileobj=io.BytesIO(await save(engine, "n"))) as tar:
        names = tar.getnames()
    assert len(names) == len(set(names))


async def test_an_id_gives_no_names(engine: Engine) -> None:
    await load(engine, tar_of(archives.docker_archive((FIRST, ["a:1"]))))
    for name in (FIRST.id, FIRST.id[7:19]):
        saved = members(await save(engine, name))
        assert "repositories" not in saved
        assert json.loads(saved["manifest.json"])[0]["RepoTags"] is None
    both = json.loads(members(await save(engine, FIRST.id, "a:1"))["manifest.json"])
    assert [item["RepoTags"] for item in both] == [["a:1"]]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("none", ImageNotFound, "No such image: none"),
        ("0123456789ab", ImageNotFound, "No such image: 0123456789ab"),
        ("none:1", NotFound, "reference does not exist"),
        ("Upper", InvalidReference, "must be lowercase"),
    ],
)
async def test_names_that_mean_nothing(
    engine: Engine, root: Path, name: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        await save(engine, name)
    look_at(root).check_tidy()


async def test_a_manifest_that_is_not_the_images_is_not_used(engine: Engine) -> None:
    """Its configuration is the image's, its layers are others: saved, it would be another image."""
    files = archives.docker_archive((FIRST, ["a:1"]))
    swapped = Image((*FIRST.layers[:1], *FIRST.layers), FIRST.config)
    files |= archives.oci_layout((swapped, ["a:1"]), compression="")
    await load(engine, tar_of(files))
    saved = members(await save(engine, FIRST.id))
    (item,) = json.loads(saved["manifest.json"])
    assert [saved[path] for path in item["Layers"]] == list(FIRST.layers)


async def test_deleted_while_it_is_read(engine: Engine, root: Path) -> None:
    await load(engine, tar_of(archives.docker_archive((FIRST, ["a:1"]))))
    async with engine.image_get("a:1") as archive:
        chunks = aiter(archive)
        begin = await anext(chunks)
        await engine.image_delete("a:1")
        await engine.image_prune(filters={"dangling": False})
        rest = b"".join([chunk async for chunk in chunks])
    saved = members(begin + rest)
    (item,) = json.loads(saved["manifest.json"])
    assert [saved[path] for path in item["Layers"]] == list(FIRST.layers)
    # The lease kept them; with its end they are garbage, for the next prune.
    await engine.image_prune()
    look_at(root).check_tidy()
    assert look_at(root).blobs == frozenset()


async def test_left_half_way(engine: Engine, root: Path) -> None:
    image = make_image(layer(file("big", b"x" * (5 << 20))))
    await load(engine, tar_of(archives.docker_archive((image, ["a:1"]))))
    before = open_files()
    async with engine.image_get("a:1") as archive:
        async for _ in archive:
            if open_files() - before:
                break
        assert open_files() - before
    assert open_files() - before == set()
    look_at(root).check_tidy()


async def test_saves_and_deletions_at_once(engine: Engine, root: Path) -> None:
    """Each save finds either a whole image or none."""
    data = tar_of(archives.docker_archive((FIRST, ["a:1"])))
    outcomes = set()

    async def saves() -> None:
        for _ in range(20):
            try:
                saved = members(await save(engine, "a:1"))
            except NotFound:
                outcomes.add("none")
                await asyncio.sleep(0)
            else:
                outcomes.add("whole")
                (item,) = json.loads(saved["manifest.json"])
                assert [saved[path] for path in item["Layers"]] == list(FIRST.layers)

    async def changes() -> None:
        for _ in range(10):
            await load(engine, data)
            await engine.image_delete("a:1", force=True)

    await asyncio.gather(saves(), saves(), changes())
    await load(engine, data)
    await saves()
    assert "whole" in outcomes
    await engine.image_prune()
    look_at(root).check_tidy()
