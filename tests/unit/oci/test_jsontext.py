import json

import msgspec
import pytest
from hypothesis import given, strategies as st

from lamina.errors import InvalidManifest
from lamina.oci import jsontext
from lamina.oci.digest import Digest
from tests.unit.oci.hostile import NOT_JSON


class Note(msgspec.Struct, frozen=True):
    text: str = ""
    about: Digest | None = None


DECODER = jsontext.decoder(Note)
A = Digest.of(b"a")


@pytest.mark.parametrize(
    ("raw", "note"),
    [
        (b"{}", Note()),
        (b' {"text": "a", "more": [{"deep": 1}]}\n', Note("a")),
        (b'{"text": null}', Note()),
        (f'{{"about": "{A}", "text": null}}'.encode(), Note(about=A)),
    ],
)
def test_decode(raw: bytes, note: Note) -> None:
    assert jsontext.decode(DECODER, raw, what="note") == note


# Nothing but `[]` among them is a list of digests.
@pytest.mark.parametrize("raw", [raw for raw in NOT_JSON if raw != b"[]"], ids=lambda raw: raw[:30])
def test_decode_refuses(raw: bytes) -> None:
    decoder = jsontext.decoder(list[Digest])
    with pytest.raises(InvalidManifest, match=r"^invalid note: "):
        jsontext.decode(decoder, raw, what="note")


def test_decode_says_where() -> None:
    with pytest.raises(
        InvalidManifest, match=r"^invalid note: Expected `str`, got `int` .*\$\.text"
    ):
        jsontext.decode(DECODER, b'{"text": 1}', what="note")
    with pytest.raises(InvalidManifest, match=r"^invalid note: invalid checksum digest format$"):
        jsontext.decode(DECODER, b'{"about": "x"}', what="note")


def test_deep_nesting_is_refused_in_the_lenient_reading_too() -> None:
    for depth in (5_000, 100_000):
        raw = b'{"text":null,"more":' + b"[" * depth + b"]" * depth + b"}"
        with pytest.raises(InvalidManifest, match="nested too deeply"):
            jsontext.decode(DECODER, raw, what="note")


def test_size_is_limited() -> None:
    whole = b'{"text":"%s"}' % (b"a" * (jsontext.SIZE_LIMIT - 11))
    assert len(whole) == jsontext.SIZE_LIMIT
    assert len(jsontext.decode(DECODER, whole, what="note").text) > 0
    with pytest.raises(InvalidManifest, match="8388609 bytes are more than 8388608"):
        jsontext.decode(DECODER, whole + b" ", what="note")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("<&>", rb"\u003c\u0026\u003e"),
        ("\u2028\u2029", rb"\u2028\u2029"),
        ("\u2027\u202a\x7f", "\u2027\u202a\x7f".encode()),
        ("\n\r\t\x00\x1f", rb"\n\r\t\u0000\u001f"),
        ('"\\/', rb"\"\\/"),
        ("\u00e9\U0001f433", "\u00e9\U0001f433".encode()),
    ],
)
def test_encode_escapes_as_go_does(text: str, written: bytes) -> None:
    assert jsontext.encode(Note(text)) == b'{"text":"' + written + b'","about":null}'


def test_encode_sorts_maps_as_go_does() -> None:
    assert jsontext.encode({"b": {"d": 1, "c": 2}, "a": []}) == b'{"a":[],"b":{"c":2,"d":1}}'


def test_what_is_no_utf8_is_named_so() -> None:
    with pytest.raises(InvalidManifest, match=r"^invalid note: not UTF-8$"):
        jsontext.decode(DECODER, b'{"text": "\xff\xfe"}', what="note")


@given(st.text(st.characters(exclude_categories=["Cs"])), st.none() | st.just(A))
def test_round_trip(text: str, about: Digest | None) -> None:
    raw = jsontext.encode(Note(text, about))
    assert jsontext.decode(DECODER, raw, what="note") == Note(text, about)
    assert json.loads(raw)["text"] == text
