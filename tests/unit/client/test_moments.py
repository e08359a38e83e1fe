import pytest

from lamina.client.moments import unix_time
from lamina.errors import InvalidParameter

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("0", "0"),
        ("1700000000", "1700000000"),
        ("1700000000.123456789", "1700000000.123456789"),
        ("2024-02-29T12:34:56Z", "1709210096"),
        ("2024-02-29T12:34:56.123456789Z", "1709210096.123456789"),
        ("2024-02-29T12:34:56+02:00", "1709202896"),
        ("2024-02-29T12:34", "1709210040"),
        ("2024-02-29", "1709164800"),
        ("0s", "1700000000.000000000"),
        ("1m", "1699999940.000000000"),
        ("1h30m", "1699994600.000000000"),
        (".5s", "1699999999.500000000"),
        ("250ms", "1699999999.750000000"),
        ("-1m", "1700000060.000000000"),
    ],
)
def test_moments(text: str, expected: str) -> None:
    assert unix_time(text, now=NOW) == expected


@pytest.mark.parametrize("text", ["x", "1 m", "m", "2024-13-01", "2024-02-29T99:00", "1d"])
def test_no_moment(text: str) -> None:
    with pytest.raises(InvalidParameter, match=r"^failed to parse value as time or duration"):
        unix_time(text, now=NOW)
