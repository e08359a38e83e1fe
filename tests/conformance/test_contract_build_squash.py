"""Squashed builds, on a dockerd that has them: it calls them an experiment."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.builds import Ids, context_of, family, top_layers, transcript, with_busybox
from tests.conformance.engines import EngineApi, client_of, engine_in
from tests.conformance.test_contract_build_files import CONTEXT
from tests.conformance.wire import assert_alike
from tests.real.dockerd import Dockerd, dockerd as running_dockerd
from tests.real.lamina_daemon import LaminaDaemon

BUILDS = {
    "on a base": """FROM busybox
RUN mkdir /a && echo 1 > /a/b && rm -r /tmp /bin/wc
RUN rm /a/b && echo 2 > /a/c
COPY d /d/
RUN rm -r /d/s
ENV x=1""",
    "on nothing": "FROM scratch\nCOPY f /\nCOPY d /d",
    "on a stage": "FROM busybox AS a\nCOPY f /f\nFROM a\nCOPY d /d\nCOPY f /g",
}

_OF_LAYERS = re.compile(r"sha256:[0-9a-f]{64}")
"""Digests in the words that tell what was merged."""


@pytest.fixture(scope="module")
def experimental() -> Iterator[Dockerd]:
    with running_dockerd(options=["--experimental"]) as daemon:
        yield daemon


async def squashed(api: EngineApi) -> object:
    """What each build says, and what it makes."""
    await with_busybox(api)
    told = []
    for dockerfile in BUILDS.values():
        ids = Ids()
        body = context_of(dockerfile, CONTEXT)
        said, image_id = await transcript(api, body, ids, {"squash": True})
        assert image_id, said
        [layer] = await top_layers(api, image_id, 1)
        # Whiteouts have a mode of their own, and a place among the others.
        files = sorted(
            [entry[0], "" if ".wh." in entry[0] else entry[1:]]
            for entry in json.loads(json.dumps(layer, default=str))
        )
        images = _OF_LAYERS.sub("<>", json.dumps(await family(api, image_id, ids)))
        told.append((said, files, json.loads(images)))
    return told


async def test_squashed_builds(
    experimental: Dockerd, lamina_daemon: LaminaDaemon, tmp_path: Path
) -> None:
    async with client_of(experimental.socket) as api:
        expected = await squashed(api)
    for opened in (client_of(lamina_daemon.socket), engine_in(tmp_path)):
        async with opened as api:
            assert_alike(await squashed(api), expected)
