from pathlib import Path

import pytest

from lamina.errors import InvalidParameter
from lamina.registry.certs import read
from lamina.registry.hosts import ClientCertificate


def _make(directory: Path, *names: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        (directory / name).touch()
    return directory


def test_reads_dockers_layout(tmp_path: Path) -> None:
    host = _make(tmp_path / "reg.example:5000", "ca.crt", "client.cert", "client.key", "README")
    tls = read([tmp_path], "reg.example:5000").tls
    assert tls.authorities == (host / "ca.crt",)
    assert tls.clients == (ClientCertificate(host / "client.cert", host / "client.key"),)
    assert read([tmp_path], "reg.example:5001").tls.authorities == ()


def test_several_directories_add_up(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    _make(first / "h", "one.crt")
    _make(second / "h", "two.crt")
    found = read([first, second, tmp_path / "missing"], "h").tls.authorities
    assert [path.name for path in found] == ["one.crt", "two.crt"]


def test_a_certificate_without_a_key_is_told_as_docker_tells_it(tmp_path: Path) -> None:
    _make(tmp_path / "h", "ca.cert")
    with pytest.raises(InvalidParameter) as caught:
        read([tmp_path], "h")
    assert str(caught.value) == (
        "missing key ca.key for client certificate ca.cert. "
        "CA certificates must use the extension .crt"
    )
    _make(tmp_path / "i", "x.key")
    with pytest.raises(InvalidParameter) as caught:
        read([tmp_path], "i")
    assert str(caught.value) == "missing client certificate x.cert for key x.key"


@pytest.mark.parametrize("name", ["h:5000", "h_5000_", "_default"])
def test_reads_containerds_layout(tmp_path: Path, name: str) -> None:
    # The key belongs to the file's own idea of a client; docker's layout would refuse it.
    directory = _make(tmp_path / name, "client.key")
    (directory / "hosts.toml").write_text('[host."https://m.example"]\nclient = "client.key"\n')
    found = read([tmp_path], "h:5000").endpoints
    assert [endpoint.host for endpoint in found] == ["m.example", "h:5000"]
    assert found[0].tls.clients == (ClientCertificate(directory / "client.key"),)


def test_a_hosts_own_file_goes_before_the_default(tmp_path: Path) -> None:
    for name, mirror in (("_default", "d.example"), ("h", "own.example")):
        (_make(tmp_path / name) / "hosts.toml").write_text(f'[host."https://{mirror}"]\n')
    assert read([tmp_path], "h").endpoints[0].host == "own.example"
    assert read([tmp_path], "other").endpoints[0].host == "d.example"


@pytest.mark.parametrize("host", ["..", ".", "", "a/b", "../etc"])
def test_a_host_cannot_lead_outside(tmp_path: Path, host: str) -> None:
    _make(tmp_path / "certs", "outside.crt")
    _make(tmp_path / "etc", "outside.crt")
    assert read([tmp_path / "certs"], host).tls.authorities == ()


def test_an_endless_hosts_toml_is_refused(tmp_path: Path) -> None:
    with (_make(tmp_path / "h") / "hosts.toml").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(InvalidParameter, match="larger than"):
        read([tmp_path], "h")
