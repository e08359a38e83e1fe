"""Assertions of the helpers are explained as those of tests are; no failure makes others fail."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina.snapshots.mounting import mounts_below, unmount

pytest.register_assert_rewrite("tests.crash.wholeness")


@pytest.fixture(autouse=True)
def no_mount_that_stays(tmp_path: Path) -> Iterator[None]:
    """What is mounted after a test has failed keeps its directory from being removed."""
    yield
    for place in reversed(mounts_below(tmp_path)):
        unmount(Path(place))
