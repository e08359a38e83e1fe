"""`docker build` of a directory, without BuildKit, on dockerd and on Lamina."""

import re
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lamina.oci.platform import host
from tests.compat.conftest import Clis
from tests.conformance.builds import Ids
from tests.conformance.wire import load
from tests.real.archives import docker_archive
from tests.real.docker_cli import DockerCli
from tests.real.images import busybox_image, tar_of, write_tree
from tests.real.lamina_daemon import LaminaDaemon

DOCKERFILE = b"""ARG base=busybox
FROM ${base} AS builder
WORKDIR /src
COPY . .
RUN cat main.c > /out && echo built && ls
RUN echo not good >&2
FROM busybox
ARG version=1
LABEL version=$version
COPY --from=builder /out /app/
ADD https.txt /app/https
USER nobody
CMD ["cat", "/app/out"]
"""

FILES = {
    "Dockerfile": DOCKERFILE,
    "other/file": DOCKERFILE.replace(b"nobody", b"root"),
    "main.c": b"int main;",
    "https.txt": b"x",
    "ignored.o": b"o",
    "keep.o": b"k",
    ".dockerignore": b"*.o\n!keep.o\nother\n",
}

RUNS = {
    "plain": ("-t", "app:1", "-t", "app"),
    "another Dockerfile": ("-f", "other/file", "--label", "a=b"),
    "a target": ("--target", "builder", "--build-arg", "version=7"),
    "quiet": ("-q",),
    "no cache": ("--no-cache", "--rm=false"),
    "arguments": ("--build-arg", "version=2", "--build-arg", "nope=1"),
    "limits and more": (
        *("--memory", "64m", "--memory-swap", "-1", "--shm-size", "1m", "--cpu-shares", "512"),
        *("--cpu-period", "50000", "--cpu-quota", "25000", "--cpuset-cpus", "0"),
        *("--network", "none", "--add-host", "a.b:1.2.3.4", "--ulimit", "nofile=99"),
        *("--cache-from", "busybox", "--platform", str(host()), "--force-rm"),
    ),
    "no base": ("--build-arg", "base="),
    "no target": ("--target", "nope"),
    "no Dockerfile": ("-f", "nope"),
    "a bad tag": ("-t", "Bad"),
}


@pytest.fixture
def directory(tmp_path: Path, emptied: tuple[Path, Path]) -> Path:
    for socket in emptied:
        load(socket, tar_of(docker_archive((busybox_image(), ["busybox:latest"]))))
    return write_tree(FILES, tmp_path / "context")


def classic(cli: DockerCli) -> DockerCli:
    return replace(cli, env={"DOCKER_BUILDKIT": "0"})


def heard(cli: DockerCli, *args: str) -> tuple[int, list[str], list[str]]:
    """Status and lines of what is printed, IDs numbered, without the client's own advice."""
    answer = classic(cli).run("build", *args)
    ids = Ids()
    errors = re.sub(r"DEPRECATED:.*?\n\n|\x1b\[\d*m", "", answer.stderr, flags=re.DOTALL)
    # The two streams of a command come as they come.
    return answer.status, ids.hide(answer.text).splitlines(), sorted(errors.splitlines())


@pytest.mark.parametrize("name", RUNS)
def test_the_same_is_printed(clis: Clis, directory: Path, name: str) -> None:
    expected, got = ([heard(cli, *RUNS[name], str(directory)) for _ in range(2)] for cli in clis)
    if name == "no target":
        # dockerd 20.10 has other words for it than later ones.
        assert 'target stage "nope" could not be found' in got[0][2][-1]
        assert [one[0] for one in got] == [one[0] for one in expected]
        return
    assert got == expected


def test_what_was_built_runs(clis: Clis, directory: Path) -> None:
    for cli in clis:
        classic(cli)("build", "-t", "app", str(directory))
        assert cli("run", "--rm", "app") == "int main;"


def test_a_dockerfile_from_standard_input(clis: Clis, directory: Path) -> None:
    del directory
    for cli in clis:
        text = classic(cli)("build", "-", stdin=b"FROM busybox\nENV a=b\n")
        assert "Successfully built" in text


@pytest.mark.usefixtures("directory")
def test_what_builds_keep(clis: Clis, lamina_daemon: LaminaDaemon) -> None:
    run = b"FROM busybox\nRUN --mount=type=cache,target=/c echo 1234 > /c/x\n"
    cli = classic(clis[1])
    cli("build", "-", stdin=run)
    assert re.search(r"Build Cache +1 +0 +5B +5B", cli("system", "df"))
    assert "cached mount /c" not in cli("builder", "prune", "-f", "--filter", "until=1h")
    pruned = cli("builder", "prune", "-f")
    assert re.search(r"Total( reclaimed space)?:\s+5B", pruned), pruned
    assert list((lamina_daemon.root / "build" / "mounts").glob("*/data")) == []


def test_a_client_that_is_interrupted(clis: Clis, directory: Path) -> None:
    (directory / "Dockerfile").write_text("FROM busybox\nRUN echo on; exec sleep 98765\n")
    cli = classic(clis[1])
    process = subprocess.Popen(
        [cli.program, "build", str(directory)],
        env=cli.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process:
        for line in process.stdout:
            if line == "on\n":
                process.send_signal(signal.SIGINT)
                break
    # If it never ends, pytest's limit for a test tells.
    while _sleeps():
        time.sleep(0.05)


def _sleeps() -> bool:
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"98765" in command.read_bytes():
                return True
        except OSError:
            continue
    return False
