from typing import Any

import msgspec
import pytest

from lamina.engine import Engine
from tests.real import archives
from tests.real.images import Image, directory, file, layer, make_image, tar_of
from tests.unit.engine.sources import load

FIRST, SECOND = layer(directory("d"), file("d/f", "x" * 100)), layer(file("g", "y" * 10))


async def inspected(engine: Engine, image: Image) -> dict[str, Any]:
    await load(engine, tar_of(archives.docker_archive((image, ["x:1"]))))
    described = await engine.image_inspect("x:1")
    value: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(described))
    return value


async def test_variant_and_version_stand_where_dockerd_has_them(engine: Engine) -> None:
    image = make_image(FIRST, architecture="arm", variant="v7", extra={"os.version": "10"})
    members = await inspected(engine, image)
    assert (members["Variant"], members["OsVersion"]) == ("v7", "10")
    keys = list(members)
    assert keys.index("Variant") == keys.index("Architecture") + 1
    assert keys.index("OsVersion") == keys.index("Os") + 1


async def test_what_is_not_told_is_left_out_or_linux(engine: Engine) -> None:
    members = await inspected(engine, make_image(FIRST, system=""))
    assert "Variant" not in members
    assert "OsVersion" not in members
    assert members["Os"] == "linux"


@pytest.mark.parametrize("extra", [{"config": None}, {"config": {}}])
async def test_no_configuration_is_null(engine: Engine, extra: dict[str, Any]) -> None:
    members = await inspected(engine, make_image(FIRST, extra=extra))
    assert (members["Config"] is None) == (extra["config"] is None)


async def test_the_last_steps_comment_stands_in(engine: Engine) -> None:
    history = [{"created_by": "a", "comment": "first"}, {"created_by": "b", "comment": "last"}]
    assert (await inspected(engine, make_image(FIRST, SECOND, history=history)))[
        "Comment"
    ] == "last"


async def test_history_is_newest_first_and_pairs_layers(engine: Engine) -> None:
    history: list[dict[str, Any]] = [
        {"created": "1970-01-01T00:00:05Z", "created_by": "first"},
        {"created_by": "nothing", "empty_layer": True},
        {"created_by": "second", "comment": "why"},
    ]
    image = make_image(FIRST, SECOND, history=history)
    await load(engine, tar_of(archives.docker_archive((image, ["x:1"]))))
    steps = await engine.image_history("x:1")
    assert [(step.created_by, step.size) for step in steps] == [
        ("second", 10),
        ("nothing", 0),
        ("first", 100),
    ]
    assert [step.id for step in steps] == [image.id, "<missing>", "<missing>"]
    assert (steps[0].tags, steps[0].comment, steps[2].created) == (["x:1"], "why", 5)
