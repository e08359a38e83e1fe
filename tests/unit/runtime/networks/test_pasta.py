from pathlib import Path

import pytest

from lamina.errors import Unavailable
from lamina.runtime.networks.namespaces import Surroundings
from lamina.runtime.networks.pasta import PastaWay
from tests.real.programs import require, run
from tests.real.remains import processes_with
from tests.unit.layers.trees import needs_root
from tests.unit.runtime.directory import names

pytestmark = needs_root

LOSES_ANSWERS = "unknown version"
"""So says that of Debian 12: what is sent to who has ended its own direction may not arrive."""


@pytest.fixture
def way(tmp_path: Path) -> PastaWay:
    return PastaWay(require("pasta"), Surroundings(directory=tmp_path))


async def test_a_release_that_loses_answers_does_not_stand_the_trial(
    way: PastaWay, tmp_path: Path
) -> None:
    if LOSES_ANSWERS in run(["pasta", "--version"]):
        with pytest.raises(Unavailable, match="a connection stays without answer"):
            await way.check()
    else:
        await way.check()
    assert names(tmp_path) == []


async def test_a_network_leaves_nothing(way: PastaWay, tmp_path: Path) -> None:
    network = await way.open()
    enter = ["nsenter", f"--net={network.path}", "--"]
    shown = run([*enter, "busybox", "ip", "address", "show", "eth0"])
    assert f"{network.endpoint.address}/{network.endpoint.prefix}" in shown
    (place,) = names(tmp_path)
    assert len(processes_with(str(tmp_path / place))) == 1
    await network.close()
    assert processes_with(str(tmp_path / place)) == []
    assert names(tmp_path) == []
