"""Pull, push and their kin: the same requests to dockerd and Lamina, on one registry."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.registry_streams import assert_same_pulls, course
from tests.conformance.wire import Ask, Heard, assert_alike, load, send
from tests.real.archives import docker_archive, multi_platform_layout
from tests.real.images import Image, file, layer, make_image, small_image, tar_of, write_tree
from tests.real.programs import run
from tests.real.registry import Registry

Sockets = tuple[Path, Path]
NOBODY = {"X-Registry-Auth": base64.urlsafe_b64encode(b"{}").decode()}
UNKNOWN = "sha256:" + "0123456789abcdef" * 4


def pull(socket: Path, query: str) -> Heard:
    return send(socket, Ask("POST", f"/images/create?{query}", headers=NOBODY))


def push(socket: Path, name: str, tag: str = "") -> Heard:
    query = f"?tag={tag}" if tag else ""
    return send(socket, Ask("POST", f"/images/{name}/push{query}", headers=NOBODY))


def stock(socket: Path, *tagged: tuple[Image, list[str]]) -> None:
    load(socket, tar_of(docker_archive(*tagged)))


def inspected(socket: Path, name: str) -> dict[str, Any]:
    told = send(socket, Ask("GET", f"/images/{name}/json"))
    assert told.status == 200, told.body
    found: dict[str, Any] = told.json()
    return {key: found[key] for key in found if key not in {"GraphDriver", "Metadata"}}


def happened(socket: Path, actions: set[str]) -> list[Any]:
    """The events of some kinds until now."""
    events = send(socket, Ask("GET", f"/events?since=1&until={int(time.time()) + 1}")).messages
    return [
        (event["Action"], event["Actor"], event["id"], event["status"])
        for event in events
        if event["Action"] in actions
    ]


@pytest.fixture
def repository(registry: Registry, request: pytest.FixtureRequest) -> str:
    """A repository of the test's own."""
    name = request.node.originalname.removeprefix("test_").replace("_", "-")
    return f"{registry.address}/http/{name}"


def test_pull_of_a_tag(servers: Sockets, repository: str) -> None:
    docker, lamina = servers
    image = small_image("pulled", layers=5)
    stock(docker, (image, [f"{repository}:1"]))
    assert push(docker, repository, "1").status == 200
    send(docker, Ask("DELETE", f"/images/{image.id}?force=1"))
    for query in (
        f"fromImage={repository}&tag=1",
        f"fromImage={repository}&tag=1",
        f"fromImage={repository}:1",
        f"fromImage={repository}:&tag=1",
        f"fromImage={repository}:none&tag=1",
    ):
        assert_same_pulls(pull(lamina, query), pull(docker, query))
    assert_alike(inspected(lamina, f"{repository}:1"), inspected(docker, f"{repository}:1"))
    history = Ask("GET", f"/images/{repository}:1/history")
    assert send(lamina, history).json() == send(docker, history).json()


def test_pull_of_a_digest(servers: Sockets, repository: str) -> None:
    docker, lamina = servers
    image = small_image("by digest")
    stock(docker, (image, [f"{repository}:1"]))
    digest = push(docker, repository, "1").messages[-1]["aux"]["Digest"]
    send(docker, Ask("DELETE", f"/images/{image.id}?force=1"))
    for query in (
        f"fromImage={repository}&tag={digest}",
        f"fromImage={repository}@{digest}",
        f"fromImage={repository}:1@{digest}",
        f"fromImage={repository}&tag=1",
    ):
        assert_same_pulls(pull(lamina, query), pull(docker, query))
        name = f"{repository}@{digest}"
        assert_alike(inspected(lamina, name), inspected(docker, name))


def test_pull_of_all_tags(servers: Sockets, repository: str) -> None:
    docker, lamina = servers
    first, second = small_image("first"), small_image("second")
    stock(docker, (first, [f"{repository}:1", f"{repository}:2"]), (second, [f"{repository}:3"]))
    assert push(docker, repository).status == 200
    for image in (first, second):
        send(docker, Ask("DELETE", f"/images/{image.id}?force=1"))
    for _ in range(2):
        query = f"fromImage={repository}"
        assert_same_pulls(pull(lamina, query), pull(docker, query))


def test_a_tag_that_moved(servers: Sockets, repository: str) -> None:
    docker, lamina = servers
    shared = layer(file("shared", b"shared" * 1000))
    for text in ("old", "new"):
        image = make_image(shared, layer(file("own", text)))
        stock(docker, (image, [f"{repository}:1"]))
        assert push(docker, repository, "1").status == 200
        query = f"fromImage={repository}&tag=1"
        told = course(pull(lamina, query))
        assert told[0][-1]["status"] == f"Status: Downloaded newer image for {repository}:1"
        # What dockerd has pushed it need not pull.
        assert course(pull(docker, query))[0][-1]["status"].endswith(
            f"up to date for {repository}:1"
        )
        assert_alike(inspected(lamina, f"{repository}:1"), inspected(docker, f"{repository}:1"))


@pytest.mark.parametrize(
    "query",
    [
        "fromImage={r}/none&tag=1",
        "fromImage={r}/none",
        f"fromImage={{r}}/none&tag={UNKNOWN}",
        "fromImage={r}/Bad&tag=1",
        "fromImage={r}/x&tag=a%20b",
        "fromImage={r}/x&tag=-a",
        "fromImage=scratch",
        "fromImage=scratch&tag=1",
        "fromImage={r}/x&tag=1&platform=banana",
        "fromImage={r}/x&tag=1&platform=linux/amd64/v1/x",
        "fromImage={r}/x&tag=1&platform=*",
        f"fromImage={UNKNOWN[7:]}",
        "fromImage=localhost:1/x&tag=1",
        "fromImage=127.0.0.2:1/x",
    ],
)
def test_a_pull_that_is_refused(servers: Sockets, registry: Registry, query: str) -> None:
    docker, lamina = servers
    query = query.format(r=registry.address)
    heard, expected = pull(lamina, query), pull(docker, query)
    assert (heard.status, heard.message) == (expected.status, expected.message)


def test_push(servers: Sockets, repository: str) -> None:
    """Fresh, again, all tags, and from another repository."""
    docker, lamina = servers
    image, other = small_image("pushed", layers=4), small_image("other", layers=2)
    names = [f"{repository}:1", f"{repository}:2"], [f"{repository}:3", f"{repository}/b:x"]
    heard: list[list[Any]] = []
    for socket in (docker, lamina):
        # The registry forgets nothing between the two; so each has repositories of its own.
        who = "docker" if socket == docker else "lamina"
        ours = [[name.replace("/http/", f"/{who}/") for name in group] for group in names]
        stock(socket, (image, ours[0]), (other, ours[1]))
        base = repository.replace("/http/", f"/{who}/")
        told = [
            course(heard, own_manifest=True)
            for heard in (
                push(socket, base, "1"),
                push(socket, base, "1"),
                push(socket, f"{base}:2"),
                push(socket, base),
                push(socket, f"{base}/b", "x"),
                push(socket, base, "none"),
                push(socket, f"{base}/none", "1"),
                push(socket, f"{base}/none"),
                push(socket, f"{base}@{UNKNOWN}"),
            )
        ]
        heard.append(json.loads(json.dumps(told).replace(f"/{who}/", "/who/").replace(who, "who")))
    assert_alike(heard[1], heard[0])


def test_a_manifest_goes_back_byte_for_byte(servers: Sockets, repository: str) -> None:
    docker, lamina = servers
    stock(docker, (small_image("back"), [f"{repository}:1"]))
    digest = push(docker, repository, "1").messages[-1]["aux"]["Digest"]
    for socket in (lamina, docker):
        assert pull(socket, f"fromImage={repository}:1").status == 200
        tag = Ask("POST", f"/images/{repository}:1/tag?repo={repository}/back&tag=2")
        assert send(socket, tag).status == 201
    told = [course(push(socket, f"{repository}/back", "2")) for socket in (lamina, docker)]
    # The other was first: what the one mounted, the other found there.
    assert told[0][0] == told[1][0]
    assert told[0][0][-1]["aux"]["Digest"] == digest
    assert [layer for layer, _ in told[0][1]] == [layer for layer, _ in told[1][1]]
    for socket in servers:
        found = inspected(socket, f"{repository}/back:2")["RepoDigests"]
        assert found == [f"{repository}/back@{digest}", f"{repository}@{digest}"]


@pytest.mark.parametrize("docker_types", [False, True], ids=["oci", "docker"])
@pytest.mark.parametrize(
    "platform", ["", "linux/arm64", "linux/arm/v7", "linux/arm/v6", "linux/s390x", "linux"]
)
def test_an_index(
    servers: Sockets, repository: str, tmp_path: Path, platform: str, *, docker_types: bool
) -> None:
    docker, lamina = servers
    images = [
        make_image(layer(file("platform", f"{architecture}{variant}")), architecture=architecture)
        if not variant
        else make_image(
            layer(file("platform", f"{architecture}{variant}")),
            architecture=architecture,
            variant=variant,
        )
        for architecture, variant in (("arm64", "v8"), ("arm", "v6"), ("arm", "v7"), ("amd64", ""))
    ]
    files = multi_platform_layout(images, "index:1", docker=docker_types)
    layout = write_tree(files, tmp_path / "layout")
    name = f"{repository}:{'docker' if docker_types else 'oci'}"
    run(
        [
            *("skopeo", "--insecure-policy", "copy", "--all", "--dest-tls-verify=false"),
            *(f"oci:{layout}", f"docker://{name}"),
        ]
    )
    query = f"fromImage={name}" + (f"&platform={platform}" if platform else "")
    heard, expected = pull(lamina, query), pull(docker, query)
    assert_same_pulls(heard, expected)
    if "error" not in heard.messages[-1]:
        assert_alike(inspected(lamina, name), inspected(docker, name))


def test_distribution(servers: Sockets, repository: str) -> None:
    docker, lamina = servers
    stock(docker, (small_image("asked"), [f"{repository}:1"]))
    digest = push(docker, repository, "1").messages[-1]["aux"]["Digest"]
    for name in (
        f"{repository}:1",
        f"{repository}@{digest}",
        repository,
        f"{repository}/none:1",
        f"{repository}@{UNKNOWN}",
        "Bad",
        UNKNOWN[7:],
        UNKNOWN,
    ):
        ask = Ask("GET", f"/distribution/{name}/json", headers=NOBODY)
        heard, expected = send(lamina, ask), send(docker, ask)
        assert (heard.status, heard.json()) == (expected.status, expected.json()), name


def test_login(servers: Sockets, registry: Registry) -> None:
    body = {"username": "me", "password": "secret", "serveraddress": registry.address}
    ask = Ask("POST", "/auth", json.dumps(body).encode(), {"Content-Type": "application/json"})
    docker, lamina = (send(socket, ask) for socket in servers)
    assert (lamina.status, lamina.body) == (docker.status, docker.body)


def test_events(servers: Sockets, repository: str) -> None:
    docker, _ = servers
    image = small_image("event")
    stock(docker, (image, [f"{repository}:1"]))
    assert push(docker, repository).status == 200
    told = []
    for socket in servers:
        assert pull(socket, f"fromImage={repository}:1").status == 200
        assert pull(socket, f"fromImage={repository}").status == 200
        assert push(socket, repository, "1").status == 200
        assert push(socket, repository).status == 200
        told.append(happened(socket, {"pull", "push"})[-4:])
    assert [action for action, *_ in told[0]] == ["pull", "pull", "push", "push"]
    assert_alike(told[1], told[0])
