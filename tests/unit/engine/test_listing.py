import pytest

from lamina.engine import Engine
from lamina.errors import ImageNotFound, InvalidFilter
from lamina.image_api import Filters
from tests.real import archives
from tests.real.images import file, layer, make_image, tar_of
from tests.unit.engine.sources import load

BASE, TOP = layer(file("base", "x" * 100)), layer(file("top", "y" * 10))
OLD = make_image(BASE, created="2020-01-01T00:00:00Z", run_config={"Labels": {"a": "1"}})
NEW = make_image(BASE, TOP, created="2021-01-01T00:00:00Z")
LONE = make_image(layer(file("lone", "z" * 7)), created="2022-01-01T00:00:00Z")
NAMELESS = make_image(layer(file("none", "z" * 5)), created="2023-01-01T00:00:00Z")
IMAGES: tuple[archives.Tagged, ...] = (
    (OLD, ["old:1", "team/old:2"]),
    (NEW, ["new:1"]),
    (LONE, ["lone:1"]),
    (NAMELESS, []),
)


async def stocked(engine: Engine) -> Engine:
    await load(engine, tar_of(archives.docker_archive(*IMAGES)))
    return engine


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["<none>", "lone:1", "new:1", "old:1 team/old:2"]),
        ({"dangling": ["true"]}, ["<none>"]),
        ({"dangling": ["false"]}, ["lone:1", "new:1", "old:1 team/old:2"]),
        ({"reference": ["old"]}, ["old:1"]),
        ({"reference": ["*/old", "n*"]}, ["new:1", "team/old:2"]),
        # What a pattern matches has a name, and so does not dangle.
        ({"reference": ["old"], "dangling": ["true"]}, []),
        ({"reference": ["nothing"], "dangling": ["true"]}, []),
        ({"label": ["a=1"]}, ["old:1 team/old:2"]),
        ({"before": ["new:1"]}, ["old:1 team/old:2"]),
        ({"since": ["new:1"]}, ["<none>", "lone:1"]),
        ({"since": ["old:1"], "before": ["lone:1"]}, ["new:1"]),
        ({"until": ["2020-06-01"]}, ["old:1 team/old:2"]),
    ],
)
async def test_filters(engine: Engine, filters: Filters, names: list[str]) -> None:
    rows = await (await stocked(engine)).image_list(filters=filters)
    assert [" ".join(row.repo_tags or ["<none>"]) for row in rows] == names


async def test_what_filters_cannot_be(engine: Engine) -> None:
    with pytest.raises(InvalidFilter):
        await engine.image_list(filters={"nonsense": ["x"]})
    with pytest.raises(ImageNotFound):
        await engine.image_list(filters={"since": ["none:1"]})


async def test_shared_layers_are_those_of_images_that_are_shown(engine: Engine) -> None:
    await stocked(engine)
    rows = await engine.image_list(shared_size=True)
    assert [row.shared_size for row in rows] == [0, 0, 100, 100]
    (row,) = await engine.image_list(shared_size=True, filters={"reference": ["new"]})
    assert row.shared_size == 0
    assert {row.shared_size for row in await engine.image_list()} == {-1}


async def test_disk_use_counts_a_layer_once_on_each_base(engine: Engine) -> None:
    await stocked(engine)
    assert (await engine.system_data_usage()).layers_size == 100 + 10 + 7 + 5
    again = make_image(layer(file("other")), TOP)
    await load(engine, tar_of(archives.docker_archive((again, ["again:1"]))))
    assert (await engine.system_data_usage()).layers_size == 100 + 10 + 7 + 5 + 10
