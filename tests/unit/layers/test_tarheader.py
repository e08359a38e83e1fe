import pytest
from hypothesis import given, strategies as st

from lamina.layers.tarheader import (
    checksum_holds,
    clean_path,
    nanoseconds,
    number,
    pax_number,
    pax_records,
)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"0000644\0", 0o644),
        (b"   644 \0", 0o644),
        (b"644\0\0\0\0\0", 0o644),
        (b"\0\0\0\0\0\0\0\0", 0),
        (b"        ", 0),
        (b"77777777", 0o77777777),
        (b"12\x0034567", 0o12),
        (b"\x80\0\0\0\0\0\1\0", 256),
        (b"\xff" * 8, -1),
        (b"\xff" * 12, -1),
        (b"\x80\0\0\0\x7f" + b"\xff" * 7, 2**63 - 1),
        (b"\xff\xff\xff\xff\x80" + b"\0" * 7, -(2**63)),
    ],
)
def test_number(field: bytes, value: int) -> None:
    assert number(field) == value


@pytest.mark.parametrize(
    "field",
    [
        b"0o17   \0",
        b"-1\0\0\0\0\0\0",
        b"+1\0\0\0\0\0\0",
        b"1_0\0\0\0\0\0",
        b"8\0\0\0\0\0\0\0",
        b"1 2\0\0\0\0\0",
        b"\x80\0\0\0\x80" + b"\0" * 7,
        b"\x80" + b"\xff" * 11,
        b"\xff\xff\xff\xff\x7f" + b"\xff" * 7,
    ],
)
def test_what_is_no_number(field: bytes) -> None:
    with pytest.raises(ValueError, match=r"number|literal"):
        number(field)


@given(st.binary(min_size=512, max_size=512))
def test_checksum_is_the_sum_of_the_bytes(raw: bytes) -> None:
    total = sum(raw[:148]) + sum(raw[156:]) + 8 * 32
    signed = sum(byte - 256 * (byte > 127) for byte in raw[:148] + raw[156:]) + 8 * 32
    with_sum = [
        raw[:148] + b"%06o\0 " % value + raw[156:] for value in (total, signed) if value >= 0
    ]
    assert all(checksum_holds(block) for block in with_sum)
    assert not checksum_holds(raw[:148] + b"%06o\0 " % (total + 1) + raw[156:])
    assert not checksum_holds(raw[:148] + b"%06o\0 " % (total + 65521) + raw[156:])


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a", "a"),
        ("a/b", "a/b"),
        ("./a", "a"),
        ("/a", "a"),
        ("a/", "a"),
        ("a//", "a"),
        ("a//b", "a/b"),
        ("a/./b", "a/b"),
        ("a/../b", "b"),
        ("a/b/..", "a"),
        (".", ""),
        ("./", ""),
        ("", ""),
        ("/", ""),
        ("././/a", "a"),
        (".//a", "a"),
        ("./../a", None),
        (".hidden", ".hidden"),
        ("a/.hidden", "a/.hidden"),
        ("..a/b..", "..a/b.."),
        ("...", "..."),
        ("..", None),
        ("../a", None),
        ("a/../../b", None),
        ("/..", None),
        ("/../a", None),
    ],
)
def test_clean_path(name: str, path: str | None) -> None:
    assert clean_path(name) == path


@given(st.lists(st.sampled_from(["a", "b", ".", "..", "", ".a", "..."]), max_size=8))
def test_clean_path_walks_as_the_kernel_would(steps: list[str]) -> None:
    walked: list[str] | None = []
    for step in steps:
        if step == ".." and walked is not None:
            walked = walked[:-1] if walked else None
        elif step not in {"", "."} and walked is not None:
            walked.append(step)
    assert clean_path("/".join(steps)) == (None if walked is None else "/".join(walked))


def test_pax_records() -> None:
    raw = b"11 path=ab\n" + b"20 linkpath=c=d\ne f\n" + b"12 path=abc\n" + b"9 empty=\n"
    assert pax_records(raw) == {"path": b"abc", "linkpath": b"c=d\ne f", "empty": b""}


@pytest.mark.parametrize(
    "raw",
    [
        b"11 path=abc\n",
        b"12 path=ab\n",
        b"path=ab\n",
        b"-1 path=ab\n",
        b"0 path=ab\n",
        b"3 =\n",
        b"7 path\n",
        b"99999999 path=ab\n",
        b"1000000 path=ab\n",
        b"12 path=a\0b\n",
        b"10 \0ath=b\n",
        b"11 path=ab",
    ],
)
def test_broken_pax_records(raw: bytes) -> None:
    with pytest.raises(ValueError, match="extended header"):
        pax_records(raw)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"1", 1_000_000_000),
        (b"1.5", 1_500_000_000),
        (b"1.", 1_000_000_000),
        (b"1.1234567899", 1_123_456_789),
        (b"-1.25", -1_250_000_000),
        (b"-0.5", -500_000_000),
    ],
)
def test_nanoseconds(value: bytes, expected: int) -> None:
    assert nanoseconds(value) == expected


@pytest.mark.parametrize("value", [b"", b"x", b"1.x", b"1.-5", b".5", b"9" * 30, b"--1"])
def test_what_is_no_time(value: bytes) -> None:
    with pytest.raises(ValueError, match="not a"):
        nanoseconds(value)


@pytest.mark.parametrize("value", [b"", b"-", b"1_0", b"0x1", b" 1", b"9223372036854775808"])
def test_what_is_no_pax_number(value: bytes) -> None:
    with pytest.raises(ValueError, match="not a decimal number"):
        pax_number(value)
