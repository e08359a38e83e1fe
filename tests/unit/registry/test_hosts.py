from pathlib import Path

import pytest

from lamina.errors import InvalidParameter
from lamina.registry.hosts import (
    ClientCertificate,
    Endpoint,
    HostFiles,
    HostRules,
    Tls,
    api_host,
    endpoints,
    is_insecure,
    split_host,
)


def _addresses(found: tuple[Endpoint, ...]) -> list[str]:
    return [str(endpoint.url("/")) for endpoint in found]


def test_a_registry_is_reached_by_tls_alone() -> None:
    (only,) = endpoints(HostRules(), "ghcr.io")
    assert str(only.url("/a/manifests/b")) == "https://ghcr.io/v2/a/manifests/b"
    assert only.tls.verify
    assert not only.plain_allowed
    assert not only.is_mirror


def test_docker_hub_has_another_host_than_name() -> None:
    assert _addresses(endpoints(HostRules(), "docker.io")) == ["https://registry-1.docker.io/v2/"]
    assert api_host("index.docker.io") == "registry-1.docker.io"


@pytest.mark.parametrize("registry", ["localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:80"])
def test_loopback_may_be_plain_after_tls_was_tried(registry: str) -> None:
    secure, plain = endpoints(HostRules(), registry)
    assert (secure.scheme, plain.scheme) == ("https", "http")
    assert not secure.tls.verify
    assert secure.plain_allowed


@pytest.mark.parametrize(
    ("host", "insecure"),
    [
        ("reg.example:5000", True),
        ("reg.example", False),
        ("reg.example:5001", False),
        ("10.1.2.3:5000", True),
        ("10.2.0.1", False),
        ("[fd00::1]:5000", True),
        ("localhost.example", False),
    ],
)
def test_insecure_names_are_exact_and_networks_hold_addresses(host: str, *, insecure: bool) -> None:
    rules = HostRules(insecure=("reg.example:5000", "10.1.0.0/16", "fd00::/8"))
    assert is_insecure(rules, host) is insecure


def test_a_name_is_insecure_if_it_stands_for_an_insecure_address() -> None:
    assert is_insecure(HostRules(), "reg.test:5000", ["192.0.2.1", "127.0.0.1"])
    assert not is_insecure(HostRules(), "reg.test:5000", ["192.0.2.1", "nonsense"])


def test_mirrors_come_first_and_serve_pulls_only() -> None:
    rules = HostRules(
        mirrors={"docker.io": ("https://m.example:444/cache/", "http://plain.example")}
    )
    first, second, itself = endpoints(rules, "docker.io")
    assert str(first.url("/")) == "https://m.example:444/cache/v2/"
    assert str(second.url("/")) == "http://plain.example/v2/"
    assert first.is_mirror
    assert second.plain_allowed
    assert not first.plain_allowed
    assert "push" not in first.capabilities
    assert not itself.is_mirror


def test_every_registry_may_have_mirrors() -> None:
    rules = HostRules(mirrors={"*": ("https://all.example",), "ghcr.io": ("https://g.example",)})
    assert _addresses(endpoints(rules, "ghcr.io"))[0] == "https://g.example/v2/"
    assert _addresses(endpoints(rules, "quay.io"))[0] == "https://all.example/v2/"


@pytest.mark.parametrize(
    "url", ["ftp://x", "x.example", "https://", "https://u:p@x", "https://x?y=1", "https://x#y"]
)
def test_a_mirror_must_be_a_plain_address(url: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid mirror"):
        HostRules(mirrors={"docker.io": (url,)})


def test_certificates_of_a_host_are_used_and_then_checked_even_on_loopback() -> None:
    tls = Tls(authorities=(Path("/c/ca.crt"),), clients=(ClientCertificate(Path("/c/x.cert")),))
    secure, _ = endpoints(HostRules(), "localhost:1", files={"localhost:1": HostFiles(tls=tls)})
    assert secure.tls == tls
    assert secure.tls.verify


def test_hosts_of_a_hosts_toml_take_the_registrys_place() -> None:
    itself = Endpoint(scheme="https", host="other.example")
    files = {"reg.example": HostFiles(endpoints=(itself,))}
    assert endpoints(HostRules(), "reg.example", files=files) == (itself,)
    mirror = Endpoint(scheme="https", host="m.example", is_mirror=True, namespace="reg.example")
    found = endpoints(
        HostRules(), "reg.example", files={"reg.example": HostFiles(endpoints=(mirror,))}
    )
    assert _addresses(found) == ["https://m.example/v2/?ns=reg.example", "https://reg.example/v2/"]


def test_splits_hosts_and_ports() -> None:
    assert split_host("a.example:5000") == ("a.example", 5000)
    assert split_host("a.example") == ("a.example", None)
    assert split_host("[::1]:5000") == ("::1", 5000)
