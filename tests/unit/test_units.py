import pytest

from lamina.units import binary_size, human_duration, human_size, parse_size

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


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("7", 7),
        ("64m", 64 << 20),
        ("1.5 GiB", 3 << 29),
        ("2KB", 2048),
        (".5k", 512),
        ("4p", 1 << 52),
    ],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "-1", "m", "1x", "1 2", "1..2", "\u0661", "9" * 400, "1\n"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="invalid size"):
        parse_size(text)


def test_a_size_that_no_number_holds() -> None:
    with pytest.raises(ValueError, match="out of range"):
        parse_size("9223372036854775807k")
