import pytest

from lamina.units import binary_size, human_duration, human_size

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
