import asyncio
import os
from contextlib import aclosing
from pathlib import Path

import pytest

from lamina.engine import Engine
from lamina.errors import ImageNotFound
from tests.real import archives
from tests.real.images import small_image, tar_of
from tests.unit.engine.root_files import look_at
from tests.unit.engine.sources import load

FIRST, SECOND = small_image("first"), small_image("second")


async def test_two_engines_share_a_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    async with Engine.open(root) as first, Engine.open(root) as second:
        await load(first, tar_of(archives.docker_archive((FIRST, ["a:1"]))))
        assert (await second.image_inspect("a:1")).id == FIRST.id
        await second.image_tag("a:1", repo="b")
        assert [summary.repo_tags for summary in await first.image_list()] == [["a:1", "b:latest"]]
        await first.image_delete(FIRST.id, force=True)
        assert await second.image_list() == []
        look_at(root).check_tidy()


async def test_nothing_in_a_root_is_for_others(tmp_path: Path) -> None:
    root = tmp_path / "root"
    async with Engine.open(root) as engine:
        await load(engine, tar_of(archives.docker_archive((FIRST, ["a:1"]))))
        async with engine.image_files("a:1") as files:
            assert [*files.listing("/")]
        for parent, directories, names in os.walk(root):
            directories[:] = [name for name in directories if is_for_others(Path(parent, name))]
            assert not [name for name in names if is_for_others(Path(parent, name))]


def is_for_others(path: Path) -> bool:
    return path.stat().st_mode & 0o077 != 0


async def test_a_name_that_moves_while_it_is_asked(engine: Engine) -> None:
    """Whoever is answered is answered by one image, whichever the name leads to."""
    data = archives.docker_archive((FIRST, ["one:1"]), (SECOND, ["two:1"]))
    await load(engine, tar_of(data))
    created_by = {
        image.id: [entry["created_by"] for entry in image.parsed_config["history"]][::-1]
        for image in (FIRST, SECOND)
    }

    async def move() -> None:
        for number in range(40):
            await engine.image_tag(("one", "two")[number % 2] + ":1", repo="moving")

    async def ask() -> None:
        for _ in range(200):
            try:
                items = await engine.image_history("moving")
                found = await engine.image_inspect("moving")
            except ImageNotFound:
                await asyncio.sleep(0)
                continue
            assert [item.created_by for item in items] == created_by[items[0].id]
            assert "moving:latest" in found.repo_tags
            await asyncio.sleep(0)

    await asyncio.gather(move(), ask(), ask())


async def test_deleted_while_it_is_asked(engine: Engine) -> None:
    data = tar_of(archives.docker_archive((FIRST, ["a:1"])))

    async def change() -> None:
        for _ in range(15):
            await load(engine, data)
            await engine.image_delete("a:1")

    async def ask() -> None:
        while not changes.done():
            try:
                assert (await engine.image_inspect("a:1")).id == FIRST.id
            except ImageNotFound as error:
                assert str(error) == "No such image: a:1"  # noqa: PT017 - either outcome is right
            await asyncio.sleep(0)

    changes = asyncio.create_task(change())
    await asyncio.gather(changes, ask())


async def test_events_come_at_once_and_in_order(engine: Engine) -> None:
    await load(engine, tar_of(archives.docker_archive((FIRST, ["a:1"]))))
    async with aclosing(engine.system_events(since="1")) as events:
        assert (await anext(events)).action == "load"
        for number in range(70):
            await engine.image_tag("a:1", repo="b", tag=str(number))
        seen = [await anext(events) for _ in range(70)]
    assert [event.actor.attributes["name"] for event in seen] == [f"b:{n}" for n in range(70)]
    assert all(event.actor.id == FIRST.id for event in seen)


async def test_what_there_is_after_opening_again(tmp_path: Path) -> None:
    root = tmp_path / "root"
    async with Engine.open(root) as engine:
        await load(engine, tar_of(archives.docker_archive((FIRST, ["a:1"]), (SECOND, []))))
        before = await engine.image_list(), await engine.image_inspect("a:1")
    async with Engine.open(root) as engine:
        assert (await engine.image_list(), await engine.image_inspect("a:1")) == before


@pytest.mark.parametrize("name", ["a:1", FIRST.id, FIRST.id[7:19]])
async def test_every_question_of_one_image(engine: Engine, name: str) -> None:
    await load(engine, tar_of(archives.docker_archive((FIRST, ["a:1"]))))
    assert (await engine.image_inspect(name)).id == FIRST.id
    items = await engine.image_history(name)
    assert [item.id for item in items] == [FIRST.id, "<missing>", "<missing>"]
    assert items[0].tags == ["a:1"]
