from pathlib import Path

import pytest

from lamina.client.address import Address
from lamina.errors import InvalidParameter


@pytest.mark.parametrize(
    ("text", "tls", "url"),
    [
        ("tcp://engine", False, "http://engine:2375"),
        ("tcp://engine", True, "https://engine:2376"),
        ("tcp://engine:4000", True, "https://engine:4000"),
        ("engine:4000", False, "http://engine:4000"),
        ("TCP://127.0.0.1:1/", False, "http://127.0.0.1:1"),
        ("tcp://[::1]:2375/some/prefix/", False, "http://[::1]:2375/some/prefix"),
        ("http://engine", False, "http://engine:2375"),
        ("https://engine", False, "https://engine:2376"),
        ("https://engine:443", True, "https://engine:443"),
    ],
)
def test_tcp(text: str, *, tls: bool, url: str) -> None:
    assert Address.parse(text, tls=tls) == Address(text, url, None)


def test_unix() -> None:
    address = Address.parse("unix:///run/some engine.sock", tls=False)
    assert address.socket == Path("/run/some engine.sock")
    assert address.url == "http://docker"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tcp://",
        "unix://",
        "tcp://:2375",
        "tcp://engine:port",
        "tcp://engine:70000",
        "tcp://user@engine",
        "tcp://engine?x=y",
        "tcp://engine/a b",
        "tcp://[::1",
        "gopher://engine",
        "unix://\0",
    ],
)
def test_no_host(text: str) -> None:
    with pytest.raises(InvalidParameter, match=r"^unable to parse docker host"):
        Address.parse(text, tls=False)


@pytest.mark.parametrize("text", ["ssh://user@engine", "npipe:////./pipe/docker", "fd://"])
def test_ways_that_are_not_gone(text: str) -> None:
    with pytest.raises(InvalidParameter, match="hosts are not supported"):
        Address.parse(text, tls=False)


def test_http_is_no_way_to_speak_tls() -> None:
    with pytest.raises(InvalidParameter, match="not a TLS address"):
        Address.parse("http://engine", tls=True)
