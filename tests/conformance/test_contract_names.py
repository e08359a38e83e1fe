"""tag, delete and prune, through the same interface on three backends."""

from io import BytesIO
from typing import Any

import pytest

from lamina.errors import Conflict, ImageNotFound, InvalidFilter, LaminaError
from lamina.image_api import Filters
from tests.conformance.engines import Backend, EngineApi, load, names_of, plain, refused
from tests.conformance.stock import (
    BASE,
    DANGLING,
    LABELLED,
    MIDDLE,
    PARENT,
    PLAIN,
    SECOND,
    at,
    family_archive,
)
from tests.real.images import layer, make_image

UNUSED = make_image(BASE, SECOND, created=at(20))


async def family(api: EngineApi) -> None:
    await api.image_load(BytesIO(family_archive()), quiet=True)


async def test_tags(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        await load(api, PLAIN, "a:1")
        await load(api, LABELLED, "b:1")
        assert (await api.image_inspect("a:1")).metadata.last_tag_time.startswith("0001-01-01")
        await api.image_tag("a:1", repo="c")
        await api.image_tag(PLAIN.id, repo="registry.example:5000/d/e", tag="1.0")
        await api.image_tag("b:1", repo="c:latest")
        assert await names_of(api) == {
            PLAIN.id: ["a:1", "registry.example:5000/d/e:1.0"],
            LABELLED.id: ["b:1", "c:latest"],
        }
        assert (await api.image_inspect("a:1")).metadata.last_tag_time.startswith("20")
        return plain(await api.image_list())

    await backend.agrees(scenario)


@pytest.mark.parametrize(
    ("repo", "tag"),
    [("Bad", ""), ("x", "bad tag"), ("x y", ""), ("sha256", "x"), ("x@sha256:" + "0" * 64, "")],
)
async def test_bad_names_for_a_tag(backend: Backend, repo: str, tag: str) -> None:
    async def scenario(api: EngineApi) -> object:
        await load(api, PLAIN, "a:1")
        # dockerd 20.10 answers 500 to some of these, 23.0 and later 400 to all.
        message = await refused(api.image_tag("a:1", repo=repo, tag=tag), LaminaError)
        assert await names_of(api) == {PLAIN.id: ["a:1"]}
        return message

    await backend.agrees(scenario)


async def test_delete_by_name_and_by_id(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        await load(api, PLAIN, "a:1", "a:2", "b:1")
        steps = [plain(await api.image_delete("a:1"))]
        conflict = await refused(api.image_delete(PLAIN.id), Conflict)
        assert "referenced in multiple repositories" in conflict
        steps.append(plain(await api.image_delete("b:1")))
        steps.append(plain(await api.image_delete(PLAIN.id)))
        assert steps[-1][0] == {"Untagged": "a:2"}
        assert steps[-1][1] == {"Deleted": PLAIN.id}
        assert await names_of(api) == {}
        await refused(api.image_delete("a:2"), ImageNotFound)
        return conflict, steps

    await backend.agrees(scenario)


async def test_delete_with_force(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        await load(api, PLAIN, "a:1", "b:1")
        await load(api, LABELLED, "c:1")
        lines = plain(await api.image_delete(PLAIN.id, force=True))
        assert await names_of(api) == {LABELLED.id: ["c:1"]}
        return lines

    await backend.agrees(scenario)


async def test_delete_takes_parents_along_or_not(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        await family(api)
        conflict = await refused(api.image_delete(PARENT.id), Conflict)
        assert "dependent child images" in conflict
        assert await refused(api.image_delete(PARENT.id, force=True), Conflict) == conflict
        kept = plain(await api.image_delete("child:1", noprune=True))
        assert set(await names_of(api)) == {PARENT.id, MIDDLE.id}
        gone = plain(await api.image_delete(MIDDLE.id))
        assert await names_of(api) == {}
        return conflict, kept, gone

    await backend.agrees(scenario)


async def test_layers_stay_while_others_use_them(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        await load(api, PARENT, "a:1")
        await load(api, MIDDLE, "b:1")
        lines = [plain(await api.image_delete("a:1"))]
        history = plain(await api.image_history("b:1"))
        lines.append(plain(await api.image_delete("b:1")))
        return lines, history

    await backend.agrees(scenario)


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        (None, {PLAIN, LABELLED}),
        ({}, {PLAIN, LABELLED}),
        ({"dangling": True}, {PLAIN, LABELLED}),
        ({"dangling": False}, set()),
        ({"dangling": "false", "label": "colour=blue"}, {PLAIN, DANGLING, UNUSED}),
        ({"dangling": False, "label!": "colour"}, {LABELLED, DANGLING}),
        ({"label": ["colour"]}, {PLAIN, LABELLED, UNUSED}),
        ({"until": "2024-01-10"}, {PLAIN, LABELLED, UNUSED}),
        ({"until": "1h"}, {PLAIN, LABELLED}),
        ({"dangling": False, "until": ["2024-01-02T00:00:00Z"]}, {LABELLED, DANGLING, UNUSED}),
    ],
)
async def test_prune(backend: Backend, filters: Filters | None, left: set[Any]) -> None:
    async def scenario(api: EngineApi) -> object:
        await load(api, PLAIN, "a:1")
        await load(api, LABELLED, "b:1", "b:2")
        await load(api, DANGLING)
        await load(api, UNUSED)
        report = await api.image_prune(filters=filters)
        assert set(await names_of(api)) == {image.id for image in left}
        again = await api.image_prune(filters=filters)
        assert (again.images_deleted, again.space_reclaimed) == (None, 0)
        # dockerd prunes in the order of a Go map.
        return report.space_reclaimed, sorted(map(str, plain(report.images_deleted) or []))

    await backend.agrees(scenario)


@pytest.mark.parametrize("filters", [{"nonsense": "x"}, {"dangling": "banana"}, {"reference": "a"}])
async def test_prune_refuses(backend: Backend, filters: Filters) -> None:
    async def scenario(api: EngineApi) -> object:
        await load(api, DANGLING)
        message = await refused(api.image_prune(filters=filters), InvalidFilter)
        assert set(await names_of(api)) == {DANGLING.id}
        return message.replace("Invalid", "invalid")

    await backend.agrees(scenario)


async def test_reclaimed_space_counts_freed_layers_once(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        await load(api, PARENT, "a:1")
        await load(api, MIDDLE)
        await load(api, make_image(layer(), created=at(9)))
        report = await api.image_prune()
        # MIDDLE stands on PARENT's layer, which stays: only SECOND's 5000 bytes are free.
        assert report.space_reclaimed == 5000
        return report.space_reclaimed

    await backend.agrees(scenario)
