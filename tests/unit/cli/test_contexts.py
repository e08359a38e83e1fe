"""Contexts are made by the real docker client; only what it does not make is written by hand."""

import json
import subprocess
from pathlib import Path

import pytest

from lamina.cli.contexts import Endpoint, TLSOptions, context_names, find_endpoint
from lamina.client import TLSFiles
from lamina.errors import InvalidParameter
from tests.real.certificates import Authority
from tests.real.programs import require


class Docker:
    """A docker client's configuration, and the environment that names it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environ = {"DOCKER_CONFIG": str(directory), "PATH": "/bin", "HOME": "/nowhere"}

    def create_context(self, name: str, endpoint: str) -> None:
        self("context", "create", name, "--docker", endpoint)

    def __call__(self, *args: str) -> None:
        subprocess.run(
            [require("docker"), *args], env=self.environ, check=True, capture_output=True
        )


@pytest.fixture
def docker(tmp_path: Path) -> Docker:
    return Docker(tmp_path)


def test_nothing_said(docker: Docker) -> None:
    assert find_endpoint(docker.environ) == Endpoint("unix:///var/run/docker.sock")
    assert find_endpoint({}) == Endpoint("unix:///var/run/docker.sock")


def test_docker_host(docker: Docker) -> None:
    environ = {**docker.environ, "DOCKER_HOST": "tcp://a:1"}
    assert find_endpoint(environ) == Endpoint("tcp://a:1")
    assert find_endpoint(environ, host="unix:///b") == Endpoint("unix:///b")


def test_contexts_in_order_of_precedence(docker: Docker) -> None:
    for name in ("used", "named", "given"):
        docker.create_context(name, f"host=unix:///{name}.sock")
    docker("context", "use", "used")
    assert find_endpoint(docker.environ) == Endpoint("unix:///used.sock", None, "used")
    environ = {**docker.environ, "DOCKER_CONTEXT": "named"}
    assert find_endpoint(environ).host == "unix:///named.sock"
    assert find_endpoint(environ, context="given").host == "unix:///given.sock"
    assert find_endpoint(environ, host="unix:///host").context == "default"
    environ["DOCKER_HOST"] = "unix:///environment"
    assert find_endpoint(environ) == Endpoint("unix:///environment")
    assert find_endpoint(environ, context="given").host == "unix:///given.sock"
    assert find_endpoint(environ, context="default").host == "unix:///environment"
    assert context_names(docker.environ) == ["default", "given", "named", "used"]


def test_a_context_with_tls(docker: Docker, authority: Authority) -> None:
    docker.create_context(
        "secure",
        f"host=tcp://a:2376,ca={authority.ca},cert={authority.client_certificate},"
        f"key={authority.client_key}",
    )
    docker.create_context("careless", "host=tcp://a:2376,skip-tls-verify=true")
    tls = find_endpoint(docker.environ, context="secure").tls
    assert tls is not None
    assert tls.verify
    for path, original in (
        (tls.ca, authority.ca),
        (tls.cert, authority.client_certificate),
        (tls.key, authority.client_key),
    ):
        assert path is not None
        assert path.read_bytes() == original.read_bytes()
    assert find_endpoint(docker.environ, context="careless").tls == TLSFiles(verify=False)


def test_tls_of_the_environment(docker: Docker, authority: Authority) -> None:
    environ = {
        **docker.environ,
        "DOCKER_HOST": "tcp://a:2376",
        "DOCKER_CERT_PATH": str(authority.directory),
    }
    assert find_endpoint(environ).tls is None
    files = TLSFiles.in_directory(authority.directory)
    assert find_endpoint({**environ, "DOCKER_TLS_VERIFY": "1"}).tls == files
    careless = find_endpoint({**environ, "DOCKER_TLS": "1"}).tls
    assert careless == TLSFiles.in_directory(authority.directory, verify=False)
    assert find_endpoint(environ, tls=TLSOptions(tlsverify=True)).tls == files
    only_ca = find_endpoint(
        docker.environ, host="tcp://a", tls=TLSOptions(tlsverify=True, tlscacert=authority.ca)
    ).tls
    assert only_ca == TLSFiles(ca=authority.ca)


def test_both_a_host_and_a_context(docker: Docker) -> None:
    with pytest.raises(InvalidParameter, match="cannot specify both --host and --context"):
        find_endpoint(docker.environ, host="tcp://a", context="b")


def test_an_unknown_context(docker: Docker) -> None:
    with pytest.raises(InvalidParameter, match=r'^context "nope": context not found'):
        find_endpoint(docker.environ, context="nope")


@pytest.mark.parametrize(
    "meta",
    [
        "",
        "[]",
        "{}",
        '{"Endpoints":[]}',
        '{"Endpoints":{"docker":{"Host":5}}}',
        '{"a":' + "[" * 9999,
    ],
)
def test_broken_contexts(docker: Docker, meta: str) -> None:
    docker.create_context("broken", "host=tcp://a:1")
    (path,) = docker.directory.glob("contexts/meta/*/meta.json")
    for text in (meta.encode(), b'{"Name": "broken\xff"}'):
        path.write_bytes(text)
        with pytest.raises(InvalidParameter):
            find_endpoint(docker.environ, context="broken")
        assert "broken" not in context_names(docker.environ)


def test_a_name_is_no_path(docker: Docker) -> None:
    with pytest.raises(InvalidParameter, match="context not found"):
        find_endpoint(docker.environ, context="../../etc")


def test_a_broken_configuration(docker: Docker) -> None:
    (docker.directory / "config.json").write_text(json.dumps(["x"]))
    with pytest.raises(InvalidParameter, match=r"config\.json"):
        find_endpoint(docker.environ)
