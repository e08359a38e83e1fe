"""The docker client pulls, pushes, searches, logs in and out: what it prints on both engines."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.conftest import Clis
from tests.conformance.wire import load
from tests.real.archives import docker_archive
from tests.real.docker_cli import DockerCli
from tests.real.images import small_image, tar_of
from tests.real.registry import Registry, registry as running_registry

pytestmark = pytest.mark.usefixtures("emptied")

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


def test_pull(clis: Clis, emptied: tuple[Path, Path], registry: Registry) -> None:
    docker, lamina = clis
    name = f"{registry.address}/cli/pull"
    first, second = small_image("cli pull"), small_image("cli pull 2")
    load(
        emptied[0],
        tar_of(docker_archive((first, [f"{name}:1", f"{name}:latest"]), (second, [f"{name}:2"]))),
    )
    docker("push", "--all-tags", name)
    docker("rmi", "--force", first.id, second.id)
    for step in (
        ("pull", f"{name}:1"),
        ("pull", f"{name}:1"),
        ("pull", name),
        ("pull", "--all-tags", name),
        ("pull", "--quiet", f"{name}:2"),
        ("pull", f"{name}:none"),
        ("pull", f"{registry.address}/cli/none"),
        ("pull", f"{name}@sha256:{'a' * 64}"),
        ("images", "--digests", "--format", "{{.Repository}}:{{.Tag}}@{{.Digest}} {{.ID}}"),
    ):
        heard, expected = told(lamina, *step), told(docker, *step)
        if step[0] == "images":
            # Of images made in the same second dockerd shows any one first.
            heard, expected = (
                (status, sorted(lines), errors) for status, lines, errors in (heard, expected)
            )
        assert heard == expected, step


def test_push(clis: Clis, emptied: tuple[Path, Path], registry: Registry) -> None:
    answers = []
    for cli, socket, who in zip(clis, emptied, ("docker", "lamina"), strict=True):
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


@pytest.fixture
def guarded() -> Iterator[Registry]:
    """A registry that wants a password."""
    with running_registry(user="me", password="secret") as server:
        yield server


def test_login(clis: Clis, emptied: tuple[Path, Path], guarded: Registry) -> None:
    answers = []
    name = f"{guarded.address}/private/x:1"
    for cli, socket in zip(clis, emptied, strict=True):
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


def test_search(clis: Clis, emptied: tuple[Path, Path], registry: Registry) -> None:
    _, lamina = clis
    name = f"{registry.address}/cli/findable:1"
    load(emptied[1], tar_of(docker_archive((small_image("findable"), [name]))))
    lamina("push", name)
    # dockerd cannot search a registry that has nothing but its catalogue.
    found = lamina("search", "--format", "{{.Name}}", f"{registry.address}/findable")
    assert found.splitlines() == [name.removesuffix(":1")]
    for step in (
        ("search", "--limit", "200", "x"),
        ("search", f"{registry.address}/x", "--filter", "stars=x"),
    ):
        assert lamina.run(*step).status == 1
