import time
from collections.abc import Iterator

import pytest

from lamina.cli.units import (
    age,
    binary_size,
    human_duration,
    human_size,
    local_time,
    rfc3339,
    rfc3339_nano,
)

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("size", "digits", "text"),
    [
        (0, 3, "0B"),
        (999, 3, "999B"),
        (1000, 3, "1kB"),
        (1044, 4, "1.044kB"),
        (1_980_000, 3, "1.98MB"),
        (488_880_831, 4, "488.9MB"),
        (10**24, 3, "1YB"),
        (10**27, 4, "1000YB"),
        # Three digits cannot tell 999.9, and Go's %g says so in its way.
        (999_900, 3, "1e+03kB"),
    ],
)
def test_sizes(size: int, digits: int, text: str) -> None:
    assert human_size(size, digits) == text


def test_binary_sizes() -> None:
    assert binary_size(25_276_514_304) == "23.54GiB"
    assert binary_size(1023) == "1023B"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "Less than a second"),
        (0.9, "Less than a second"),
        (1.9, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (2 * MINUTE, "2 minutes"),
        (59 * MINUTE + 59, "59 minutes"),
        (HOUR, "About an hour"),
        (HOUR + 29 * MINUTE, "About an hour"),
        (HOUR + 30 * MINUTE, "2 hours"),
        (47 * HOUR, "47 hours"),
        (2 * DAY, "2 days"),
        (13 * DAY, "13 days"),
        (14 * DAY, "2 weeks"),
        (59 * DAY, "8 weeks"),
        (60 * DAY, "2 months"),
        (729 * DAY, "24 months"),
        (730 * DAY, "2 years"),
        (2000 * DAY, "5 years"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


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
