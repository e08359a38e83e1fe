from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, strategies as st

from lamina.oci.timestamp import (
    ZERO,
    ZERO_UNIX,
    as_go_prints,
    format_timestamp,
    format_unix,
    is_timestamp,
    parse_timestamp,
    parse_unix,
)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23T23:09:00Z", datetime(2026, 11, 23, 23, 9, tzinfo=UTC)),
        ("2026-11-23T23:09:00.5Z", datetime(2026, 11, 23, 23, 9, 0, 500_000, tzinfo=UTC)),
        (
            "2026-11-23T23:09:59.999999999Z",
            datetime(2026, 11, 23, 23, 9, 59, 999_999, tzinfo=UTC),
        ),
        (
            "2026-11-23T23:09:00-01:30",
            datetime(2026, 11, 23, 23, 9, tzinfo=timezone(-timedelta(minutes=90))),
        ),
        ("1969-12-31T23:59:59Z", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_parse(text: str, moment: datetime) -> None:
    assert parse_timestamp(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        ZERO,
        "2026-11-23",
        "2026-11-23T23:09:00",
        "2026-11-23 23:09:00Z",
        "2026-W47-1T00:00:00Z",
        "2026-13-23T23:09:00Z",
        "2026-11-23T23:09:00.Z",
        "2026-11-23T23:09:00.1234567891Z",
        "2026-11-23T23:09:00Z\n",
        "0000-01-01T00:00:00Z",
    ],
)
def test_what_is_no_time(text: str) -> None:
    assert parse_timestamp(text) is None


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 23, 20, 10, tzinfo=UTC), "2026-11-23T20:10:00Z"),
        (datetime(2026, 11, 23, 20, 10, 0, 120_000, tzinfo=UTC), "2026-11-23T20:10:00.12Z"),
        (datetime(2026, 11, 23, 20, 10, 0, 1, tzinfo=UTC), "2026-11-23T20:10:00.000001Z"),
        (
            datetime(2026, 11, 23, 20, tzinfo=timezone(timedelta(hours=2))),
            "2026-11-23T18:00:00Z",
        ),
    ],
)
def test_format(moment: datetime, text: str) -> None:
    assert format_timestamp(moment) == text


@given(st.datetimes(min_value=datetime(2, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_round_trip(moment: datetime) -> None:
    assert parse_timestamp(format_timestamp(moment)) == moment


@pytest.mark.parametrize(
    "text",
    [
        ZERO,
        "0000-01-01T00:00:00Z",
        "2020-02-29T23:59:59.1234567891Z",
        "2020-01-01T00:00:00+25:00",
    ],
)
def test_times_that_a_dockerd_takes(text: str) -> None:
    assert is_timestamp(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2020-01-01",
        "2020-13-01T00:00:00Z",
        "2020-01-32T00:00:00Z",
        "2020-01-01T24:00:00Z",
        "2020-01-01T00:00:00",
        "2020-01-01T00:00:00.Z",
        "2020-01-01T00:00:00Z ",
    ],
)
def test_texts_that_are_no_times(text: str) -> None:
    assert not is_timestamp(text)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.000000001Z", 1_000_000_001),
        ("1970-01-01T01:00:00.5+01:00", 500_000_000),
        ("1969-12-31T23:59:59.75Z", -250_000_000),
        (ZERO, None),
        ("yesterday", None),
    ],
)
def test_unix_nanoseconds_of_a_text(text: str, nanoseconds: int | None) -> None:
    assert parse_unix(text) == nanoseconds


FIRST, LAST = -62_104_060_800, 253_402_300_799
"""The years 2 to 9999 in unix seconds."""


@given(st.integers(FIRST * 10**9, LAST * 10**9))
def test_unix_nanoseconds_survive_a_round_trip(nanoseconds: int) -> None:
    text = format_unix(nanoseconds)
    assert parse_unix(text) == nanoseconds
    assert as_go_prints(text) == text


def test_no_time_is_gos_zero_time() -> None:
    assert format_unix(None) == ZERO
    assert format_unix(ZERO_UNIX * 10**9) == ZERO


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("2026-11-23T23:09:00.120000000Z", "2026-11-23T23:09:00.12Z"),
        ("2026-11-23T23:09:00.000Z", "2026-11-23T23:09:00Z"),
        ("2026-11-23T23:09:00.10+05:30", "2026-11-23T23:09:00.1+05:30"),
        ("2026-11-23T23:09:00+00:00", "2026-11-23T23:09:00Z"),
        ("", ZERO),
        ("2026-11-23", ZERO),
    ],
)
def test_as_go_prints(text: str, printed: str) -> None:
    assert as_go_prints(text) == printed
