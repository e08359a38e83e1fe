import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.errors import InvalidParameter, Unavailable
from lamina.snapshots.choice import DRIVERS, choose_snapshots
from tests.real.programs import run
from tests.unit.layers.trees import needs_root


@needs_root
@pytest.mark.parametrize("driver", [None, *DRIVERS])
async def test_root_gets_what_it_asks_for(tmp_path: Path, driver: str | None) -> None:
    choice = choose_snapshots(tmp_path, driver=driver)
    assert choice.snapshots.driver == (driver or "overlay")
    assert choice.passed_over == {}
    await choice.snapshots.create("one", [])
    assert (await choice.snapshots.mount("one")).path.is_dir()
    await choice.snapshots.sweep(keep=lambda _: False)
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


@pytest.fixture
def no_upper(tmp_path: Path) -> Iterator[Path]:
    """A directory which cannot be the upper one of an overlay, not even for root: in an overlay."""
    if os.geteuid() != 0:
        yield tmp_path
        return
    lower, upper, work, merged = (tmp_path / name for name in ("lower", "upper", "work", "merged"))
    for directory in (lower, upper, work, merged):
        directory.mkdir()
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    run(["mount", "-t", "overlay", "overlay", "-o", options, str(merged)])
    try:
        yield merged
    finally:
        run(["umount", str(merged)])


def test_what_does_not_work_says_why(no_upper: Path) -> None:
    with pytest.raises(Unavailable, match="overlay does not work here"):
        choose_snapshots(no_upper, driver="overlay")
