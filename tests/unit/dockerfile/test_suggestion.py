import pytest
from hypothesis import given, strategies as st

from lamina.dockerfile.suggestion import Suggestions, closest, did_you_mean

KNOWN = ("FROM", "RUN", "COPY", "ENTRYPOINT")


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("FORM", "FROM"),
        ("form", "from"),
        ("Form", "from"),
        ("RUNN", "RUN"),
        ("ENTRYPIONT", "ENTRYPOINT"),
        ("XYZZY", None),
        ("run", None),
        ("", None),
        ("X" * 10**6, None),
    ],
)
def test_the_closest_name(name: str, match: str | None) -> None:
    assert closest(name, KNOWN, case_sensitive=False) == match


def test_case_may_count() -> None:
    assert closest("form", KNOWN, case_sensitive=True) is None
    assert did_you_mean("FORM", KNOWN, case_sensitive=True) == " (did you mean FROM?)"
    assert did_you_mean("form", KNOWN, case_sensitive=True) == ""


@given(st.text(alphabet="abc", min_size=1, max_size=12), st.integers(0, 12), st.sampled_from("abc"))
def test_a_name_with_one_letter_more_is_found(name: str, at: int, letter: str) -> None:
    longer = name[:at] + letter + name[at:]
    assert closest(longer, [name], case_sensitive=True) == name


def test_names_of_any_length_take_no_time() -> None:
    known = [f"{'y' * 60_000}{number}" for number in range(2000)]
    assert closest("x" * 64, known, case_sensitive=True) is None


def test_only_so_many_names_are_looked_at() -> None:
    known = [f"{number}x" for number in range(1000)]
    suggestions = Suggestions()
    hints = [suggestions.hint("1xy", known) for _ in range(30)]
    assert hints == [" (did you mean 1x?)"] * 20 + [""] * 10
