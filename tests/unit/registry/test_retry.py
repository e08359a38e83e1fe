import pytest
from hypothesis import given, strategies as st

from lamina.registry.retry import RetryPolicy, retry_after


def test_waits_grow_to_a_ceiling_and_end() -> None:
    policy = RetryPolicy(attempts=5, first=1, longest=4, jitter=0)
    assert [policy.delay(attempt) for attempt in range(1, 7)] == [1, 2, 4, 4, None, None]


@given(st.integers(1, 40), st.floats(0, 1))
def test_jitter_only_shortens(attempt: int, jitter: float) -> None:
    policy = RetryPolicy(attempts=100, jitter=jitter)
    exact = RetryPolicy(attempts=100, jitter=0).delay(attempt)
    wait = policy.delay(attempt)
    assert wait is not None
    assert exact is not None
    assert exact * (1 - jitter) <= wait <= exact


def test_a_server_is_waited_for_as_it_asks_but_not_for_ever() -> None:
    policy = RetryPolicy(attempts=3, patience=60)
    assert policy.delay(1, 7) == 7
    assert policy.delay(1, 61) is None
    assert policy.delay(3, 1) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        (" 120 ", 120),
        ("9" * 500, 999_999_999_999),
        ("-5", None),
        ("soon", None),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 40),
        ("Thu, 01 Jan 1970 00:00:10 GMT", 0),
        ("Thu, 99 Jan 1970 00:00:10 GMT", None),
        ("٣", None),
    ],
)
def test_reads_seconds_and_dates(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, now=60) == seconds
