"""list, inspect and history, through the same interface on three backends."""

import io

import pytest

from lamina.errors import (
    ImageNotFound,
    InvalidFilter,
    InvalidParameter,
    InvalidReference,
    LaminaError,
)
from lamina.image_api import Filters
from tests.conformance.engines import Backend, EngineApi, load, plain, refused
from tests.conformance.stock import (
    BARE,
    CHILD,
    DANGLING,
    HISTORY_COMMENT,
    LABELLED,
    MIDDLE,
    PARENT,
    PLAIN,
    RICH,
    STOCK,
    stock_archives,
)

FILTERS: tuple[Filters | None, ...] = (
    None,
    {},
    {"dangling": True},
    {"dangling": False},
    {"dangling": "true"},
    {"label": "colour"},
    {"label": ["colour=blue", "empty"]},
    {"label": ("colour=blue", "colour=red")},
    {"reference": "stock"},
    {"reference": ["team/*", "child:1"]},
    {"before": "stock:labelled"},
    {"since": LABELLED.id, "before": "child:1"},
    {"since": MIDDLE.id},
    {"label": "colour", "dangling": True},
)


async def stock(api: EngineApi) -> None:
    for archive in stock_archives():
        await api.image_load(io.BytesIO(archive), quiet=True)


async def test_every_image_is_listed_newest_first(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        await stock(api)
        images = await api.image_list()
        assert [image.id for image in images] == [
            i.id for i in (HISTORY_COMMENT, RICH, CHILD, DANGLING, LABELLED, PLAIN, BARE)
        ]
        assert {i.id: sorted(i.repo_tags) for i in images} == {
            image.id: sorted(names) for image, names in STOCK
        }
        return plain(images)

    await backend.agrees(scenario)


async def test_all_adds_parents(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        await stock(api)
        images = await api.image_list(all=True)
        parents = {image.id: image.parent_id for image in images}
        assert parents[CHILD.id] == MIDDLE.id
        assert parents[MIDDLE.id] == PARENT.id
        assert not parents[PARENT.id]
        return plain(images), plain(await api.image_list(all=True, digests=True))

    await backend.agrees(scenario)


async def test_filters(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        await stock(api)
        listed = [
            [(image.id, image.repo_tags) for image in await api.image_list(all=all_, filters=one)]
            for one in FILTERS
            for all_ in (False, True)
        ]
        assert len({str(images) for images in listed}) > len(FILTERS) // 2
        return listed

    await backend.agrees(scenario)


async def test_shared_sizes(backend: Backend) -> None:
    async with backend.opened() as api:
        await load(api, PARENT, "parent:1")
        await load(api, MIDDLE, "middle:1")
        await load(api, PLAIN, "plain:1")
        images = {i.repo_tags[0]: i for i in await api.image_list(shared_size=True)}
        # THIRD holds 300 bytes; PLAIN's second layer is MIDDLE's too, but on another base.
        shared = {name: image.shared_size for name, image in images.items()}
        if backend.name == "dockerd":
            assert set(shared.values()) == {-1}  # not before API 1.42
        else:
            assert shared == {"parent:1": 300, "middle:1": 300, "plain:1": 0}
        unasked = await api.image_list()
        assert {image.shared_size for image in unasked} == {-1}


@pytest.mark.parametrize(
    ("filters", "error"),
    [
        ({"nonsense": "x"}, InvalidFilter),
        ({"dangling": "banana"}, InvalidFilter),
        ({"before": "none:1"}, ImageNotFound),
        ({"since": "0" * 64}, ImageNotFound),
        ({"before": "Bad"}, InvalidReference),
        ({"reference": "sto[ck"}, LaminaError),
    ],
)
async def test_list_refuses(backend: Backend, filters: Filters, error: type[LaminaError]) -> None:
    async def scenario(api: EngineApi) -> object:
        await load(api, PLAIN, "stock:1")
        message = await refused(api.image_list(filters=filters), error)
        # 23.0 made its first letter small.
        return message.replace("Invalid", "invalid")

    await backend.agrees(scenario)


async def test_inspect_and_history_of_every_image(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        await stock(api)
        known = {}
        for image in (PLAIN, LABELLED, DANGLING, PARENT, MIDDLE, CHILD, RICH, BARE):
            inspected = await api.image_inspect(image.id)
            assert inspected.id == image.id
            assert inspected.root_fs.layers == list(image.diff_ids)
            history = await api.image_history(image.id)
            if image is BARE:
                assert not history  # there is none in its config
            else:
                assert history[0].id == image.id
                assert sum(item.size for item in history) == inspected.size
            known[image.id] = plain(inspected), plain(history)
        return known

    await backend.agrees(scenario)


async def test_inspect_by_every_kind_of_name(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> None:
        await load(api, PLAIN, "stock:latest", "registry.example:5000/a/b:1")
        digits = PLAIN.id.removeprefix("sha256:")
        for name in (
            *("stock", "stock:latest", "docker.io/library/stock", "registry.example:5000/a/b:1"),
            *(PLAIN.id, digits, digits[:12], PLAIN.id[:15]),
        ):
            assert (await api.image_inspect(name)).id == PLAIN.id
            assert (await api.image_history(name))[0].id == PLAIN.id

    await backend.agrees(scenario)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("none", ImageNotFound),
        ("none:1", ImageNotFound),
        ("a/b/c", ImageNotFound),
        ("0123456789ab", ImageNotFound),
        ("sha256:" + "0" * 64, ImageNotFound),
        ("none@sha256:" + "0" * 64, ImageNotFound),
        ("Bad", InvalidParameter),
        ("bad:", InvalidParameter),
        ("a b", InvalidParameter),
        ("é", InvalidParameter),
    ],
)
async def test_unknown_and_bad_names(backend: Backend, name: str, error: type[LaminaError]) -> None:
    async def scenario(api: EngineApi) -> object:
        # 20.10's inspect says "no such image: x: " before the message that all others give.
        inspected = await refused(api.image_inspect(name), error)
        return [
            inspected.removeprefix(f"no such image: {name}: "),
            await refused(api.image_history(name), error),
            await refused(api.image_tag(name, repo="x"), error),
            await refused(api.image_delete(name), error),
        ]

    await backend.agrees(scenario)
