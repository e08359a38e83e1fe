"""Builds whose archive is the answer, as a program asks for it that knows HTTP and nothing else.

A dockerd has nothing like it; it takes what is in the archive.
"""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.wire import TAR, Ask, Heard, empty, load, q, send
from tests.real.archives import docker_archive
from tests.real.dockerd import Dockerd
from tests.real.images import busybox_image, tar_of
from tests.real.lamina_daemon import LaminaDaemon


@pytest.fixture
def socket(lamina_daemon: LaminaDaemon) -> Iterator[Path]:
    empty(lamina_daemon.socket)
    load(lamina_daemon.socket, tar_of(docker_archive((busybox_image(), ["busybox:latest"]))))
    yield lamina_daemon.socket
    empty(lamina_daemon.socket)


def build(socket: Path, dockerfile: str, **query: object) -> Heard:
    body = tar_of({"Dockerfile": dockerfile.encode(), "a": b"A"})
    return send(socket, Ask("POST", f"/build{q(**query)}", body, TAR))


@pytest.mark.parametrize(
    "outputs", ['[{"Type":"tar","Attrs":{"dest":"-"}}]', "type=tar,dest=-", "type=local", "-"]
)
def test_files(socket: Path, outputs: str) -> None:
    heard = build(socket, "FROM scratch\nCOPY a /b/", outputs=outputs)
    assert (heard.status, heard.header("Content-Type")) == (200, "application/x-tar")
    assert heard.chunks is not None
    with tarfile.open(fileobj=io.BytesIO(heard.body)) as tar:
        assert tar.getnames() == ["b", "b/a"]


@pytest.mark.parametrize("outputs", ["type=docker", '[{"Type":"oci"}]'])
def test_images(socket: Path, dockerd: Dockerd, outputs: str) -> None:
    heard = build(
        socket,
        "FROM busybox\nRUN echo 1 > /one",
        t=["built:1", "built:2"],
        outputs=[outputs, "type=image,name=more:1"],
    )
    assert heard.header("Content-Type") == "application/x-tar"
    empty(dockerd.socket)
    load(dockerd.socket, heard.body)
    [image] = send(dockerd.socket, Ask("GET", "/images/json")).json()
    assert sorted(image["RepoTags"]) == ["built:1", "built:2"]
    here = send(socket, Ask("GET", f"/images/{image['Id']}/json")).json()
    assert here["RepoTags"] == ["built:1", "built:2", "more:1"]
    empty(dockerd.socket)


@pytest.mark.parametrize(
    ("dockerfile", "outputs", "status", "message"),
    [
        ("FROM busybox\nRUN exit 3", "-", 500, "returned a non-zero code: 3"),
        ("FROM busybox\nNOPE", "-", 400, "unknown instruction: NOPE"),
        ("FROM busybox\nCOPY nope /", "-", 500, "COPY failed"),
        ("FROM busybox", "type=tar,dest=/tmp/x.tar", 400, "dest is a path of your machine"),
        ("FROM busybox", '[{"Type":"local","Attrs":{"dest":"out"}}]', 400, "dest is a path"),
        ("FROM busybox", ["type=tar", "type=oci"], 400, "multiple outputs not supported"),
    ],
)
def test_what_fails_has_a_status(
    socket: Path, dockerfile: str, outputs: object, status: int, message: str
) -> None:
    heard = build(socket, dockerfile, outputs=outputs, t="failed:1")
    assert (heard.status, heard.header("Content-Type")) == (status, "application/json")
    assert message in json.loads(heard.body)["message"]
    assert send(socket, Ask("GET", "/images/failed:1/json")).status == 404
