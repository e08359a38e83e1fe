"""The docker client pulls, pushes, searches, logs in and out: what it prints on both engines."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from tests.compat.conftest import Clis
from tests.conformance.wire import load
from tests.given import gives
from tests.real.archives import docker_archive
from tests.real.docker_cli import DockerCli
from tests.real.images import small_image, tar_of
from tests.real.registry import Registry
from tests.registry.faults import Fault, FaultProxy
from tests.registry.token_registry import PASSWORD, USER, token_registry

pytestmark = pytest.mark.usefixtures("servers")

_COURSE = re.compile(
    r"^[0-9a-f]{12}: (Waiting|Verifying Checksum|Preparing|Pulling fs layer|Download complete)$"
)
_OWN = re.compile(r"sha256:[0-9a-f]{64} size: \d+")


def told(cli: DockerCli, *args: str, stdin: bytes | None = None) -> tuple[int, list[str], str]:
    """Status, lines and errors; layers in the order of their names, as they end in any."""
    answer = cli.run(*args, stdin=stdin)
    lines = [_OWN.sub("…", line) for line in answer.text.splitlines() if not _COURSE.match(line)]
    layers = sorted(line for line in lines if re.match(r"[0-9a-f]{12}: ", line))
    others = [line for line in lines if line not in layers]
    return answer.status, [*others, *layers], answer.stderr


@gives("image_create", "from_image", "tag", "platform")
def test_pull(clis: Clis, servers: tuple[Path, Path], registry: Registry) -> None:
    docker, lamina = clis
    name = f"{registry.address}/cli/pull"
    first, second = small_image("cli pull"), small_image("cli pull 2")
    load(
        servers[0],
        tar_of(docker_archive((first, [f"{name}:1", f"{name}:latest"]), (second, [f"{name}:2"]))),
    )
    docker("push", "--all-tags", name)
    docker("rmi", "--force", first.id, second.id)
    steps: list[tuple[str, ...]] = [
        ("pull", f"{name}:1"),
        ("pull", f"{name}:1"),
        ("pull", name),
        ("pull", "--all-tags", name),
        ("pull", "--quiet", f"{name}:2"),
        ("pull", "--platform", "linux/amd64", f"{name}:2"),
        ("pull", "--platform", "a b", f"{name}:2"),
        ("pull", f"{name}:none"),
        ("pull", f"{registry.address}/cli/none"),
        ("pull", f"{name}@sha256:{'a' * 64}"),
        ("images", "--digests", "--format", "{{.Repository}}:{{.Tag}}@{{.Digest}} {{.ID}}"),
    ]
    for step in steps:
        heard, expected = told(lamina, *step), told(docker, *step)
        if step[0] == "images":
            # Of images made in the same second dockerd shows any one first.
            heard, expected = (
                (status, sorted(lines), errors) for status, lines, errors in (heard, expected)
            )
        assert heard == expected, step


@gives("image_push", "name", "tag")
def test_push(clis: Clis, servers: tuple[Path, Path], registry: Registry) -> None:
    answers = []
    for cli, socket, who in zip(clis, servers, ("docker", "lamina"), strict=True):
        name = f"{registry.address}/cli-{who}/push"
        images = (small_image("cli push"), [f"{name}:1", f"{name}:latest"])
        load(socket, tar_of(docker_archive(images, (small_image("2"), [f"{name}/other:2"]))))
        steps = (
            ("push", f"{name}:1"),
            ("push", f"{name}:1"),
            ("push", name),
            ("push", "--all-tags", name),
            ("push", "--quiet", f"{name}/other:2"),
            ("push", f"{name}:none"),
            ("push", f"{name}/none"),
        )
        answers.append(json.dumps([told(cli, *step) for step in steps]).replace(who, "who"))
    assert json.loads(answers[1]) == json.loads(answers[0])


@gives("image_create", "x_registry_auth")
@gives("image_push", "x_registry_auth")
def test_login(clis: Clis, servers: tuple[Path, Path], guarded: Registry) -> None:
    answers = []
    name = f"{guarded.address}/private/x:1"
    for cli, socket in zip(clis, servers, strict=True):
        load(socket, tar_of(docker_archive((small_image("private"), [name]))))
        answers.append(
            [
                told(cli, *step, stdin=stdin)
                for step, stdin in (
                    (("push", name), None),
                    (("pull", name), None),
                    (("login", "-u", "me", "--password-stdin", guarded.address), b"wrong"),
                    (("login", "-u", "me", "--password-stdin", guarded.address), b"secret"),
                    (("push", "--quiet", name), None),
                    (("pull", "--quiet", name), None),
                    (("logout", guarded.address), None),
                    (("pull", name), None),
                )
            ]
        )
    docker, lamina = answers
    assert [status for status, *_ in docker] == [1, 1, 1, 0, 0, 0, 0, 1]
    for ours, theirs in zip(lamina, docker, strict=True):
        assert ours == theirs


async def test_login_where_tokens_are_taken(clis: Clis, servers: tuple[Path, Path]) -> None:
    answers = []
    async with token_registry() as (address, _):
        for cli, socket, who in zip(clis, servers, ("docker", "lamina"), strict=True):
            name = f"{address}/private/{who}:1"
            load(socket, tar_of(docker_archive((small_image("tokens"), [name]))))
            login = ("login", "-u", USER, "--password-stdin", address)
            steps = (
                (("push", name), None),
                (login, b"wrong"),
                (login, PASSWORD.encode()),
                (("login", address), None),
                (("push", name), None),
                (("push", f"{name}0"), None),
                (("pull", "--quiet", name), None),
                (("logout", address), None),
                (("logout", address), None),
                (("pull", name), None),
            )
            heard = [
                await asyncio.to_thread(told, cli, *step, stdin=stdin) for step, stdin in steps
            ]
            answers.append(json.loads(json.dumps(heard).replace(f"/{who}", "/who")))
    docker, lamina = answers
    assert [status for status, *_ in docker] == [1, 1, 0, 1, 0, 1, 0, 0, 0, 1]
    assert lamina == docker


_FOUND = [
    {"name": "team/much-loved", "description": "A " + "long " * 30, "star_count": 1200},
    {"name": "official", "description": "Of many", "star_count": 7, "is_official": True},
    {"name": "team/automatic", "description": "", "star_count": 0, "is_automated": True},
    {"name": "team/new", "description": "Täglich\nneu", "star_count": 0},
]


@gives("image_search", "term", "limit", "filters")
async def test_search(clis: Clis) -> None:
    """In a registry that has an index, as no more than Docker Hub and some products do."""
    docker, lamina = clis
    async with FaultProxy(None).running() as index:
        body = json.dumps({"num_results": len(_FOUND), "query": "x", "results": _FOUND}).encode()
        index.faults = [
            Fault(on="/v1/_ping$", status=200, body=b'{"standalone":true}', times=999),
            Fault(on="/v1/search.*q=x(&|$)", status=200, body=body, times=999),
            Fault(on="/v1/search.*q=none", status=200, body=b'{"results":[]}', times=999),
            Fault(on="/v1/search.*q=broken", status=502, times=999),
            Fault(on="/v2/$", status=200, times=999),
        ]
        for options in (
            ("x",),
            ("x", "--no-trunc"),
            ("x", "--limit", "100"),
            ("x", "--limit", "101"),
            ("x", "--limit", "-1"),
            ("x", "--filter", "colour=red"),
            ("x", "--filter", "stars=3"),
            ("x", "--filter", "stars=3", "--filter", "is-official=false"),
            ("x", "--filter", "is-official=true", "--format", "{{json .}}"),
            ("none",),
            ("broken",),
        ):
            term, *others = options
            step = ("search", *others, f"{index.address}/{term}")
            heard, expected = [
                await asyncio.to_thread(told, cli, *step) for cli in (lamina, docker)
            ]
            # Newer daemons begin sentences with a small letter.
            heard, expected = ((*answer[:2], answer[2].lower()) for answer in (heard, expected))
            assert heard == expected, step


def test_search_without_a_network(clis: Clis) -> None:
    docker, lamina = clis
    for term in ("x", "localhost:1/x", "http://localhost:1/x", "nohost.invalid/x"):
        (status, lines, error), expected = (
            told(lamina, "search", term),
            told(docker, "search", term),
        )
        assert (status, lines) == expected[:2]
        # dockerd asks registries by the name of a program of its own, which the reason tells.
        assert error.startswith("Error response from daemon: "), error


def test_search_in_a_catalogue(clis: Clis, servers: tuple[Path, Path], registry: Registry) -> None:
    _, lamina = clis
    name = f"{registry.address}/cli/findable:1"
    load(servers[1], tar_of(docker_archive((small_image("findable"), [name]))))
    lamina("push", name)
    # dockerd cannot search a registry that has nothing but its catalogue.
    found = lamina("search", "--format", "{{.Name}}", f"{registry.address}/findable")
    assert found.splitlines() == [name.removesuffix(":1")]
