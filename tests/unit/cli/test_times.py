import time
from collections.abc import Iterator

import pytest

from lamina.cli.times import age, local_time, rfc3339, rfc3339_nano


def test_ages() -> None:
    assert age(1_700_000_000, 1_700_000_120.5) == "2 minutes ago"
    assert age(-62135596800, 1_700_000_000) == age(0, 1_700_000_000) == "N/A"


def test_nanoseconds() -> None:
    assert ".000000005" in rfc3339_nano(1_700_000_000_000_000_005)


@pytest.fixture
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


# As docker's client shows them, but for years that Python does not have.
@pytest.mark.parametrize(
    ("zone", "created", "shown"),
    [
        ("UTC", -62135596800, "0001-01-01 00:00:00 +0000 UTC"),
        ("Europe/Berlin", -62135596800, "0001-01-01 00:53:28 +0053 LMT"),
        ("America/New_York", -62135596800, "0001-01-01 00:00:00 +0000 UTC"),
        ("America/New_York", 253402300799, "9999-12-31 18:59:59 -0500 EST"),
        ("Europe/Berlin", 253402300799, "9999-12-31 23:59:59 +0000 UTC"),
        ("Europe/Berlin", 1_700_000_000, "2023-11-14 23:13:20 +0100 CET"),
        ("UTC", 1 << 62, "9999-12-31 23:59:59 +0000 UTC"),
        ("UTC", -(1 << 62), "0001-01-01 00:00:00 +0000 UTC"),
    ],
    indirect=["zone"],
)
@pytest.mark.usefixtures("zone")
def test_every_moment_can_be_shown(created: int, shown: str) -> None:
    assert local_time(created) == shown
    day, hour, offset, _ = shown.split()
    zoned = "Z" if offset == "+0000" else f"{offset[:3]}:{offset[3:]}"
    assert rfc3339(created) == f"{day}T{hour}{zoned}"
    assert rfc3339_nano(created * 1_000_000_000 + 5) == f"{day}T{hour}.000000005{zoned}"
