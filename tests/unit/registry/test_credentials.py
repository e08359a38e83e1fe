import base64
import json

import pytest

from lamina.errors import InvalidParameter
from lamina.registry.credentials import (
    ANONYMOUS,
    HUB_KEY,
    AuthConfig,
    decode_header,
    decode_map,
    key_of,
    pack,
    registry_of,
    unpack,
)


def test_reads_what_docker_clients_send() -> None:
    document = {"username": "u", "password": "p?>~", "email": "", "serveraddress": "r.example"}
    raw = json.dumps(document).encode()
    for header in (
        base64.urlsafe_b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        base64.b64encode(raw).decode(),
    ):
        found = decode_header(header)
        assert (found.username, found.password) == ("u", "p?>~")
        assert found.serveraddress == "r.example"
    assert decode_header("") is ANONYMOUS
    assert decode_header(base64.b64encode(b"{}").decode()).is_empty


def test_null_is_as_good_as_nothing() -> None:
    document = {"username": "u", "password": "p", "email": None, "serveraddress": None}
    found = decode_header(base64.urlsafe_b64encode(json.dumps(document).encode()).decode())
    assert found == AuthConfig(username="u", password="p")
    assert decode_header(base64.b64encode(b"null").decode()).is_empty
    several = json.dumps({"r.example": document, "other.example": None}).encode()
    assert decode_map(base64.b64encode(several).decode()) == {"r.example": found}


def test_a_packed_user_and_password_are_unpacked() -> None:
    found = unpack(AuthConfig(auth=pack("user", "pass:word")))
    assert (found.username, found.password, found.auth) == ("user", "pass:word", "")
    for broken in (
        "!!",
        base64.b64encode(b"no colon").decode(),
        base64.b64encode(b"\xff").decode(),
    ):
        with pytest.raises(InvalidParameter, match="invalid auth configuration file"):
            unpack(AuthConfig(auth=broken))


@pytest.mark.parametrize(
    "header",
    [
        "%%%",
        "a",
        base64.b64encode(b"[]").decode(),
        base64.b64encode(b'{"username": 5}').decode(),
        base64.b64encode(b"{" * 5000).decode(),
        "A" * 2_000_000,
        "ä",
    ],
)
def test_a_header_that_is_none_is_refused(header: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid X-Registry-Auth header"):
        decode_header(header)


def test_a_map_of_registries() -> None:
    sent = {HUB_KEY: {"username": "a", "password": "b"}, "r.example:5000": {"identitytoken": "t"}}
    assert decode_map(base64.urlsafe_b64encode(json.dumps(sent).encode()).decode()) == {
        "docker.io": AuthConfig(username="a", password="b"),
        "r.example:5000": AuthConfig(identitytoken="t"),
    }
    assert decode_map("") == {}


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        (HUB_KEY, "docker.io"),
        ("", "docker.io"),
        ("docker.io", "docker.io"),
        ("https://registry-1.docker.io/v2/", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("https://r.example/v1/", "r.example"),
        ("http://r.example:5000", "r.example:5000"),
        ("r.example:5000", "r.example:5000"),
    ],
)
def test_names_the_registry_behind_a_key(key: str, registry: str) -> None:
    assert registry_of(key) == registry
    assert registry_of(key_of(registry)) == registry


def test_a_secret_is_never_shown() -> None:
    shown = repr(AuthConfig(username="user", password="hidden", identitytoken="hidden"))
    assert "user" in shown
    assert "hidden" not in shown
