"""The relay and what it makes of requests."""

import base64
import json
from pathlib import Path

import pytest

from tests.given import assert_given, given, gives, said_to_give
from tests.real.docker_cli import DockerCli
from tests.real.images import busybox_rootfs
from tests.real.lamina_daemon import LaminaDaemon
from tests.real.rawhttp import Connection
from tests.real.relay import Asked, relay


def test_requests_on_one_connection(lamina_daemon: LaminaDaemon) -> None:
    with relay(lamina_daemon.socket) as watched, Connection(watched.socket) as connection:
        for body in (b"", b'{"x": 1}'):
            answer = connection.request("POST", "/v1.41/containers/create?name=x", body=body)
            assert answer.status == 400
            answer.drain()
        imported = connection.request(
            "POST",
            "/v1.41/images/create?fromSrc=-",
            headers={"Content-Type": "application/x-tar"},
            body=iter([busybox_rootfs()[:9000], busybox_rootfs()[9000:]]),
        )
        assert b"sha256:" in imported.read()
    first, second, third = watched.asked
    assert (first.method, first.body, second.body) == ("POST", b"", b'{"x": 1}')
    assert busybox_rootfs().startswith(third.body)
    assert given(watched.asked) == {"image_create": {"from_src", "input_image"}}


def test_who_hangs_up(lamina_daemon: LaminaDaemon, tmp_path: Path) -> None:
    """Both ways: a client that is gone, and one that ends its direction and listens on."""
    with relay(lamina_daemon.socket) as watched:
        cli = DockerCli(watched.host, tmp_path)
        cli("import", "-", "relay:1", stdin=busybox_rootfs())
        run = ["run", "--rm", "-i", "--network=none", "relay:1", "/bin/sh", "-c"]
        assert cli(*run, "cat; echo end", stdin=b"x" * 100_000) == "x" * 100_000 + "end\n"
        with Connection(watched.socket) as events:
            events.request("GET", "/events")
        while b'"NEventsListener":0' not in _info(lamina_daemon):
            pass
        cli("rmi", "relay:1")


def _info(daemon: LaminaDaemon) -> bytes:
    with Connection(daemon.socket) as connection:
        return connection.request("GET", "/info").read()


def asked(method: str, target: str, *, body: bytes = b"", **headers: str) -> Asked:
    return Asked(method, target, {k.replace("_", "-"): v for k, v in headers.items()}, body)


def test_only_what_is_no_default_is_given() -> None:
    sent = "dockerfile=Dockerfile&rm=1&q=&nocache=0&memory=0&labels=%7B%7D&version=1"
    assert given([asked("POST", f"/v1.41/build?{sent}")]) == {"image_build": set()}
    sent = "dockerfile=other&rm=0&nocache=1&cpusetcpus=0-1"
    assert given([asked("POST", f"/build?{sent}", body=b"x", content_type="x")]) == {
        "image_build": {
            *("dockerfile", "rm", "nocache", "cpusetcpus", "content_type", "input_stream"),
        }
    }


@pytest.mark.parametrize(("auth", "is_given"), [({}, False), ({"username": "me"}, True)])
def test_credentials(auth: dict[str, str], *, is_given: bool) -> None:
    text = base64.urlsafe_b64encode(json.dumps(auth).encode()).decode().rstrip("=")
    found = given([asked("POST", "/v1.44/images/a/b/push?tag=", x_registry_auth=text)])
    assert ("x_registry_auth" in found["image_push"]) == is_given
    assert "tag" not in found["image_push"]


def test_what_is_said() -> None:
    @gives("image_tag", "name")
    @pytest.mark.parametrize("repo", [1, pytest.param(2, marks=gives("image_tag", "repo"))])
    def test(repo: int) -> None:
        del repo

    assert said_to_give(test) == {"image_tag": {"name", "repo"}}


def test_what_is_said_must_be_so(request: pytest.FixtureRequest) -> None:
    request.node.add_marker(gives("image_tag", "name"))
    assert_given(request.node, [asked("POST", "/images/a/tag")])
    with pytest.raises(AssertionError, match="did not give image_tag's name"):
        assert_given(request.node, [asked("GET", "/images/a/json")])
