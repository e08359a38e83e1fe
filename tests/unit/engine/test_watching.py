import pytest

from lamina.engine import Engine
from lamina.errors import InvalidParameter
from lamina.image_api import Filters
from tests.real import archives
from tests.real.images import small_image, tar_of
from tests.unit.engine.sources import load

IMAGE = small_image("watching")


async def told(engine: Engine, filters: Filters) -> list[tuple[str, str]]:
    await load(engine, tar_of(archives.docker_archive((IMAGE, ["watched:1"]))))
    await engine.image_tag("watched:1", repo="team/other", tag="2")
    events = engine.system_events(since="1h", until="0s", filters=filters)
    return [(event.action, event.actor.attributes["name"]) async for event in events]


LOADED, TAGGED = ("load", IMAGE.id), ("tag", "team/other:2")


@pytest.mark.parametrize(
    ("filters", "events"),
    [
        ({}, [LOADED, TAGGED]),
        # What nobody knows is passed over, as dockerd does it.
        ({"nonsense": ["x"]}, [LOADED, TAGGED]),
        ({"event": ["tag"]}, [TAGGED]),
        ({"type": ["image"]}, [LOADED, TAGGED]),
        ({"type": ["container"]}, []),
        ({"container": ["x"]}, []),
        ({"volume": ["("]}, []),
        ({"image": ["team/other"]}, [TAGGED]),
        ({"image": ["team/other:2"]}, [TAGGED]),
        ({"image": [IMAGE.id]}, [LOADED, TAGGED]),
        ({"label": ["seed=watching"]}, [LOADED, TAGGED]),
        ({"label": ["seed=other"]}, []),
        ({"scope": ["swarm"]}, []),
    ],
)
async def test_filters(engine: Engine, filters: Filters, events: list[tuple[str, str]]) -> None:
    assert await told(engine, filters) == events


async def test_times_the_wrong_way_round(engine: Engine) -> None:
    events = aiter(engine.system_events(since="20", until="10"))
    with pytest.raises(InvalidParameter, match="cannot be after"):
        await anext(events)
