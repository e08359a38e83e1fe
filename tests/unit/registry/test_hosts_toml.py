from pathlib import Path

import pytest

from lamina.errors import InvalidParameter
from lamina.registry.hosts import ClientCertificate, Endpoint
from lamina.registry.hosts_toml import parse

_DIRECTORY = Path("/certs/docker.io")


def _parse(text: str) -> tuple[Endpoint, ...]:
    return parse(text, registry="docker.io", directory=_DIRECTORY)


def test_lists_hosts_in_the_files_order_and_the_server_last() -> None:
    found = _parse("""
server = "https://registry-1.docker.io"
[host."https://b.example"]
  capabilities = ["pull", "resolve"]
[host."http://a.example:5000"]
  capabilities = ["push"]
""")
    assert [str(endpoint.origin) for endpoint in found] == [
        "https://b.example",
        "http://a.example:5000",
        "https://registry-1.docker.io",
    ]
    assert found[0].capabilities == {"pull", "resolve"}
    assert found[0].is_mirror
    assert found[0].namespace == "docker.io"
    assert not found[0].plain_allowed
    assert found[1].plain_allowed
    assert not found[2].is_mirror
    assert found[2].namespace == ""


def test_the_registry_itself_is_the_server_where_none_is_named() -> None:
    assert [endpoint.host for endpoint in _parse("")] == ["registry-1.docker.io"]


def test_a_server_that_is_also_a_host_stands_once() -> None:
    found = _parse('server = "https://a.example"\n[host."https://a.example"]\n')
    assert len(found) == 1


def test_reads_keys_paths_and_headers() -> None:
    (found, _) = _parse("""
[host."https://a.example/v2/cache"]
  override_path = true
  ca = ["ca.pem", "/etc/other.pem"]
  client = [["c.cert", "c.key"], ["both.pem", ""]]
  skip_verify = true
  [host."https://a.example/v2/cache".header]
    x-token = ["one", "two"]
    x-other = "three"
""")
    assert found.prefix == "/v2/cache"
    assert found.tls.authorities == (_DIRECTORY / "ca.pem", Path("/etc/other.pem"))
    assert found.tls.clients == (
        ClientCertificate(_DIRECTORY / "c.cert", _DIRECTORY / "c.key"),
        ClientCertificate(_DIRECTORY / "both.pem"),
    )
    assert not found.tls.verify
    assert found.headers == (("x-token", "one"), ("x-token", "two"), ("x-other", "three"))


@pytest.mark.parametrize(
    ("path", "prefix"), [("", "/v2"), ("/", "/v2"), ("/v2", "/v2"), ("/proxy/", "/proxy/v2")]
)
def test_the_api_lies_below_v2(path: str, prefix: str) -> None:
    assert _parse(f'[host."https://a.example{path}"]')[0].prefix == prefix


def test_one_file_or_a_list_of_files_may_be_given() -> None:
    (found,) = _parse('ca = "a.pem"\nclient = "c.pem"')
    assert found.tls.authorities == (_DIRECTORY / "a.pem",)
    assert found.tls.clients == (ClientCertificate(_DIRECTORY / "c.pem"),)


@pytest.mark.parametrize(
    "text",
    [
        "server = [",
        "server = 5",
        'host = "x"',
        '[host."ftp://x"]',
        '[host."https://x"]\ncapabilities = ["fly"]',
        '[host."https://x"]\nca = 5',
        '[host."https://x"]\nskip_verify = "yes"',
        '[host."https://x"]\nclient = [["a", "b", "c"]]',
    ],
)
def test_what_it_cannot_mean_is_refused_with_the_files_name(text: str) -> None:
    with pytest.raises(InvalidParameter, match=r"failed to parse /certs/docker\.io/hosts\.toml"):
        _parse(text)
