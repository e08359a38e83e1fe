"""dockerd's rules, step by step; what each expects was seen on a dockerd 20.10."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from lamina.engine import Engine
from lamina.errors import Conflict, ImageNotFound, InvalidFilter, InvalidParameter
from lamina.image_api import Filters
from lamina.oci.digest import Digest
from lamina.oci.rootfs import chain_ids
from tests.real import archives
from tests.real.images import CREATED, Image, file, layer, make_image, small_image, tar_of
from tests.unit.engine.root_files import look_at
from tests.unit.engine.sources import load

LAYERS = [layer(file(f"{number}", "x" * 10 * (number + 1))) for number in range(4)]


def family_member(*numbers: int, label: str | None = None) -> Image:
    history = [{"created": CREATED, "created_by": str(number)} for number in numbers]
    return make_image(
        *(LAYERS[number] for number in numbers),
        history=history,
        created=f"202{numbers[-1]}-01-01T00:00:00Z",
        run_config={"Labels": {label: "1"}} if label else None,
    )


GRANDPARENT = family_member(0)
PARENT = family_member(0, 1, label="parent")
CHILD = family_member(0, 1, 2, label="child")
SIBLING = family_member(0, 3)


@pytest.fixture
async def family(engine: Engine) -> Engine:
    """`grandparent:1` ← nameless parent ← `child:1` = `other:1`; `grandparent:1` ← `sibling:1`."""
    files = archives.docker_archive(
        (GRANDPARENT, ["grandparent:1"]),
        (PARENT, []),
        (CHILD, ["child:1", "other:1"]),
        (SIBLING, ["sibling:1"]),
    )
    items = json.loads(files["manifest.json"])
    for item, parent in zip(items[1:], (GRANDPARENT, PARENT, GRANDPARENT), strict=True):
        item["Parent"] = parent.id
    files["manifest.json"] = archives.dumps(items)
    await load(engine, tar_of(files))
    return engine


async def delete(
    engine: Engine, name: str, *, force: bool = False, noprune: bool = False
) -> list[str]:
    """Each item as `-name` or `!id`."""
    items = await engine.image_delete(name, force=force, noprune=noprune)
    return [f"-{item.untagged}" if item.untagged else f"!{item.deleted}" for item in items]


def chain(image: Image, height: int) -> str:
    """The chain ID of an image's first layers."""
    return str(chain_ids(map(Digest.parse, image.diff_ids))[height - 1])


async def test_one_name_of_two_goes(family: Engine) -> None:
    assert await delete(family, "child:1") == ["-child:1"]
    assert (await family.image_inspect(CHILD.id)).repo_tags == ["other:1"]


async def test_the_last_name_takes_the_image_and_nameless_parents_along(
    family: Engine, root: Path
) -> None:
    await delete(family, "other:1")
    assert await delete(family, "child:1") == [
        "-child:1",
        f"!{CHILD.id}",
        f"!{chain(CHILD, 3)}",
        f"!{PARENT.id}",
        f"!{chain(PARENT, 2)}",
    ]
    assert look_at(root).images == {GRANDPARENT.id, SIBLING.id}
    look_at(root).check_tidy()


async def test_noprune_leaves_the_parents(family: Engine, root: Path) -> None:
    await delete(family, "other:1")
    removed = await delete(family, "child:1", noprune=True)
    assert removed == ["-child:1", f"!{CHILD.id}", f"!{chain(CHILD, 3)}"]
    assert PARENT.id in look_at(root).images


async def test_the_last_name_of_a_parent_goes_alone(family: Engine) -> None:
    assert await delete(family, "grandparent:1") == ["-grandparent:1"]
    assert (await family.image_inspect(GRANDPARENT.id)).repo_tags == []


@pytest.mark.parametrize("options", [{}, {"force": True}])
async def test_a_parent_cannot_be_deleted_by_id(family: Engine, options: dict[str, bool]) -> None:
    for image in (PARENT, GRANDPARENT):
        with pytest.raises(Conflict) as caught:
            await delete(family, image.id, **options)
        assert str(caught.value) == (
            f"conflict: unable to delete {image.id[7:19]} (cannot be forced)"
            " - image has dependent child images"
        )
    assert (await family.image_inspect("grandparent:1")).id == GRANDPARENT.id


async def test_names_in_several_repositories_must_be_forced(family: Engine) -> None:
    with pytest.raises(Conflict) as caught:
        await delete(family, CHILD.id[7:15])
    assert str(caught.value) == (
        f"conflict: unable to delete {CHILD.id[7:19]} (must be forced)"
        " - image is referenced in multiple repositories"
    )
    removed = await delete(family, CHILD.id[7:15], force=True)
    assert removed[:3] == ["-child:1", "-other:1", f"!{CHILD.id}"]


async def test_two_tags_of_one_repository_must_be_forced_too(family: Engine) -> None:
    await family.image_tag("sibling:1", repo="sibling", tag="2")
    with pytest.raises(Conflict, match="must be forced"):
        await delete(family, SIBLING.id)


async def test_an_id_with_one_name_takes_it_along(family: Engine, root: Path) -> None:
    assert await delete(family, SIBLING.id) == [
        "-sibling:1",
        f"!{SIBLING.id}",
        f"!{chain(SIBLING, 2)}",
    ]
    tail = look_at(root).events[-2:]
    assert tail == (("untag", SIBLING.id), ("delete", SIBLING.id))


async def test_what_does_not_exist(family: Engine) -> None:
    with pytest.raises(ImageNotFound, match="No such image: nothing:latest"):
        await delete(family, "nothing")


async def test_a_deletion_whose_caller_goes_away_goes_on(family: Engine, root: Path) -> None:
    task = asyncio.create_task(delete(family, CHILD.id, force=True))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # The next change comes after it; that it swept too, is seen when the engine is closed.
    await family.image_tag("sibling:1", repo="x")
    assert CHILD.id not in look_at(root).images


async def prune(engine: Engine, filters: Filters | None = None) -> tuple[set[str], int]:
    found = await engine.image_prune(filters=filters)
    items = found.images_deleted
    assert items is None or items
    return {item.deleted or item.untagged for item in items or ()}, found.space_reclaimed


async def test_nothing_to_prune(family: Engine, root: Path) -> None:
    assert (await family.image_prune()).images_deleted is None
    assert look_at(root).events[-1] == ("prune", "")


async def test_a_prune_takes_dangling_images_and_their_nameless_parents(
    family: Engine, root: Path
) -> None:
    replacement = small_image("replacement")
    archive = archives.docker_archive((replacement, ["child:1", "other:1"]))
    await load(family, tar_of(archive))
    removed, freed = await prune(family)
    assert removed == {CHILD.id, chain(CHILD, 3), PARENT.id, chain(PARENT, 2)}
    assert freed == 30 + 20
    look_at(root).check_tidy()


async def test_a_prune_of_everything(family: Engine, root: Path) -> None:
    removed, freed = await prune(family, {"dangling": False})
    assert {"child:1", "other:1", "sibling:1", "grandparent:1"} < removed
    assert freed == 10 + 20 + 30 + 40
    assert look_at(root).images == frozenset()
    look_at(root).check_tidy()
    assert look_at(root).blobs == frozenset()


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"label": "child"}, {"child:1", "other:1"}),
        ({"label!": "child"}, {"sibling:1", "grandparent:1"}),
        ({"label": ["child", "parent"]}, set()),
        ({"until": "2022-06-01T00:00:00Z"}, {"child:1", "other:1", "grandparent:1"}),
        ({"until": "2019-06-01T00:00:00Z"}, set()),
    ],
)
async def test_prunes_of_some(family: Engine, filters: Filters, names: set[str]) -> None:
    removed, _ = await prune(family, {"dangling": False, **filters})
    assert {name for name in removed if name.endswith(":1")} == names


@pytest.mark.parametrize(
    ("filters", "error", "message"),
    [
        ({"reference": "x"}, InvalidFilter, "invalid filter 'reference'"),
        ({"dangling": "x"}, InvalidFilter, r"invalid filter 'dangling=\[x\]'"),
        ({"until": ["1", "2"]}, InvalidParameter, "more than one until filter specified"),
        ({"until": "soon"}, InvalidFilter, "invalid value for 'until' filter"),
    ],
)
async def test_prunes_that_are_refused(
    family: Engine, root: Path, filters: Filters, error: type[Exception], message: str
) -> None:
    before = look_at(root)
    with pytest.raises(error, match=message):
        await prune(family, filters)
    assert look_at(root) == before


async def test_two_prunes_at_once(family: Engine) -> None:
    first = asyncio.create_task(prune(family))
    await asyncio.sleep(0)
    with pytest.raises(Conflict, match="a prune operation is already running"):
        await prune(family)
    await first
    await prune(family)


async def test_a_prune_whose_caller_goes_away_goes_on(root: Path) -> None:
    async with Engine.open(root) as engine:
        await load(engine, tar_of(archives.docker_archive((CHILD, []))))
        pruning = asyncio.create_task(prune(engine))
        await asyncio.sleep(0)
        pruning.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pruning
        with pytest.raises(Conflict, match="a prune operation is already running"):
            await prune(engine)
    assert look_at(root).blobs == frozenset()
    look_at(root).check_tidy()


async def test_more_parents_than_there_can_be_calls_in_each_other(
    engine: Engine, root: Path
) -> None:
    steps = "".join(f"ENV STEP={number}\n" for number in range(sys.getrecursionlimit()))
    context = tar_of({"Dockerfile": f"FROM scratch\n{steps}".encode()})
    await engine.image_build(t=["long:1"], input_stream=[context])
    assert len(await delete(engine, "long:1")) == sys.getrecursionlimit() + 1
    assert look_at(root).images == frozenset()
