import base64
import json

import pytest

from lamina.engine.registry_access import headers_of, parse_auth, parse_auths
from lamina.errors import InvalidParameter


def header(text: str | bytes) -> str:
    return base64.urlsafe_b64encode(text.encode() if isinstance(text, str) else text).decode()


def test_credentials() -> None:
    given = {"username": "me", "password": "secret"}
    found = parse_auth(given)
    assert found is not None
    assert (found.username, found.password) == ("me", "secret")
    assert parse_auth(header(json.dumps(given))) == found
    assert parse_auth("") is None
    by_registry = {"https://index.docker.io/v1/": given, "registry:5000": given}
    assert parse_auths(by_registry) == {"docker.io": found, "registry:5000": found}
    assert parse_auths(header(json.dumps(by_registry))) == parse_auths(by_registry)


@pytest.mark.parametrize(
    "text",
    [
        "\0",
        "é",
        "a" * 7,
        header("[]"),
        header(b"\xff\xfe"),
        header('{"x":' + "[" * 100_000),
        header('{"a":' * 50_000),
        header('{"username":5}'),
        header('{"username":"\\ud800"}'),
        header('{"auth":"="}'),
    ],
)
def test_what_has_no_sense_is_none(text: str) -> None:
    assert parse_auth(text) is None
    assert parse_auths(text) == {}


def test_headers() -> None:
    assert headers_of(None) == {}
    assert headers_of({"Team": "web"}) == {"X-Meta-Team": "web"}
    for name, value in (
        ("", "x"),
        ("a b", "x"),
        ("a:", "x"),
        ("a", "x\r\nHost: other"),
        ("a", "\0"),
        ("é", "x"),
        ("a", "\ud800"),
    ):
        with pytest.raises(InvalidParameter, match="invalid header X-Meta-"):
            headers_of({name: value})
