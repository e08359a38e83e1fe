import pytest

from lamina.api.detach_keys import DetachKeys, parse_detach_keys
from lamina.errors import InvalidParameter


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", b"\x10\x11"),
        ("a", b"a"),
        ("ctrl-a,b,ctrl-@", b"\x01b\x00"),
        ("ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x1b\x1c\x1d\x1e\x1f"),
    ],
)
def test_keys(text: str, keys: bytes) -> None:
    assert parse_detach_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-9", "ab", "a,,b", "ctrl-", "é", "Ctrl-a"])
def test_what_are_no_keys(text: str) -> None:
    with pytest.raises(InvalidParameter, match="Invalid detach keys"):
        parse_detach_keys(text)


@pytest.mark.parametrize(
    ("typed", "passed", "let_go"),
    [
        ([b"ls\r"], b"ls\r", False),
        ([b"\x10\x11"], b"", True),
        ([b"a\x10", b"\x11b"], b"a", True),
        ([b"a\x10", b"b"], b"a\x10b", False),
        ([b"\x10\x10\x11"], b"\x10", True),
        ([b"\x10", b"\x10", b"\x11"], b"\x10", True),
    ],
)
def test_the_sequence_is_found_however_it_is_typed(
    typed: list[bytes], passed: bytes, *, let_go: bool
) -> None:
    keys = DetachKeys(b"\x10\x11")
    fed = [keys.feed(data) for data in typed]
    assert b"".join(data for data, _ in fed) == passed
    assert any(gone for _, gone in fed) == let_go
