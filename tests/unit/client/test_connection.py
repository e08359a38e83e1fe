import pytest

from lamina.api.versions import ApiVersion
from lamina.client.connection import Messages, image_path, parse_version
from lamina.errors import EngineError, InvalidParameter, InvalidReference


def test_versions() -> None:
    assert parse_version("1.41") == ApiVersion(1, 41)
    assert parse_version("1.9") < parse_version("1.24")


@pytest.mark.parametrize("text", ["", "1", "1.", "1.x", "v1.41", "1.41.0", "-1.41", "1.99999"])
def test_no_version(text: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid API version"):
        parse_version(text)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("busybox", "/images/busybox/json"),
        ("host:5000/a/b:tag", "/images/host:5000/a/b:tag/json"),
        ("a@sha256:0", "/images/a@sha256:0/json"),
        ("a?b#c%d é", "/images/a%3Fb%23c%25d%20%C3%A9/json"),
    ],
)
def test_names_in_paths(name: str, path: str) -> None:
    assert image_path(name, "/json") == path


@pytest.mark.parametrize("name", ["", " ", "..", "a/../../info", "/a", "a//b", "a/", "./a"])
def test_names_that_would_lead_elsewhere(name: str) -> None:
    with pytest.raises(InvalidReference, match=r"^invalid reference format$"):
        image_path(name, "/json")


def test_messages_however_they_are_cut() -> None:
    text = b'{"a":1}\n{"b":2}\r\n\n{"c":3}\n'
    for size in range(1, len(text)):
        messages = Messages()
        found = [
            line.strip()
            for start in range(0, len(text), size)
            for line in messages.feed(text[start : start + size])
        ]
        assert found == [b'{"a":1}', b'{"b":2}', b'{"c":3}']


def test_a_message_without_an_end_is_refused() -> None:
    messages = Messages()
    assert messages.feed(b"x" * 4_000_000) == []
    with pytest.raises(EngineError, match="without an end"):
        messages.feed(b"x" * 4_000_000)
