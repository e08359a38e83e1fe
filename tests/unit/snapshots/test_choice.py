import os
from pathlib import Path

import pytest

from lamina.errors import InvalidParameter, Unavailable
from lamina.snapshots.choice import DRIVERS, choose_snapshots
from tests.unit.layers.trees import needs_root


@needs_root
@pytest.mark.parametrize("driver", [None, *DRIVERS])
async def test_root_gets_what_it_asks_for(tmp_path: Path, driver: str | None) -> None:
    choice = choose_snapshots(tmp_path, driver=driver)
    assert choice.snapshots.driver == (driver or "overlay")
    assert choice.passed_over == {}
    await choice.snapshots.create("one", [])
    assert (await choice.snapshots.mount("one")).path.is_dir()
    await choice.snapshots.sweep(keep=())
    await choice.snapshots.close()


async def test_something_always_works(tmp_path: Path) -> None:
    choice = choose_snapshots(tmp_path)
    tried = DRIVERS[: DRIVERS.index(choice.snapshots.driver)]
    assert tuple(choice.passed_over) == tried
    assert not any((tmp_path / choice.snapshots.driver / "staging").iterdir())
    await choice.snapshots.close()


def test_unknown_drivers(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="unknown snapshot driver 'zfs'"):
        choose_snapshots(tmp_path, driver="zfs")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may mount")
def test_what_does_not_work_says_why(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="overlay does not work here"):
        choose_snapshots(tmp_path, driver="overlay")
