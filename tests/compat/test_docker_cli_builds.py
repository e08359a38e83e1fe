"""`docker build` of a directory, without BuildKit, on dockerd and on Lamina."""

import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from lamina.oci.platform import host
from tests.compat.conftest import Clis
from tests.conformance.builds import Ids
from tests.conformance.differences import modern_words
from tests.conformance.wire import assert_alike, load
from tests.given import assert_given, gives
from tests.real.archives import docker_archive
from tests.real.docker_cli import DockerCli
from tests.real.dockerd import dockerd as running_dockerd
from tests.real.images import (
    busybox_image,
    file,
    layer,
    make_image,
    small_image,
    tar_of,
    write_tree,
)
from tests.real.lamina_daemon import LaminaDaemon, lamina_daemon as running_lamina
from tests.real.registry import Registry
from tests.real.relay import relay
from tests.real.web import git, git_daemon, web_server

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


def run(name: str, *options: str, giving: Iterable[str] = ()) -> ParameterSet:
    """Options of a build of a directory, which they name `{}`, and the parameters they give."""
    return pytest.param(options, id=name, marks=gives("image_build", *giving))


FILES = {
    "Dockerfile": DOCKERFILE,
    "other/file": DOCKERFILE.replace(b"nobody", b"root"),
    "main.c": b"int main;",
    "https.txt": b"x",
    "ignored.o": b"o",
    "keep.o": b"k",
    ".dockerignore": b"*.o\n!keep.o\n",
}

_SENT = ("content_type", "input_stream")

RUNS = [
    run("plain", "-t", "app:1", "-t", "app", giving=("t", *_SENT)),
    run(
        "another Dockerfile",
        "-f",
        "{}/other/file",
        "--label",
        "a=b",
        giving=("dockerfile", "labels"),
    ),
    run(
        "a target",
        "--target",
        "builder",
        "--build-arg",
        "version=7",
        giving=("target", "buildargs"),
    ),
    run("quiet", "-q", giving=("q",)),
    run("no cache", "--no-cache", "--rm=false", giving=("nocache", "rm")),
    run("arguments", "--build-arg", "version=2", "--build-arg", "nope=1"),
    run(
        "limits and more",
        *("--memory", "64m", "--memory-swap", "-1", "--shm-size", "1m", "--cpu-shares", "512"),
        *("--cpu-period", "50000", "--cpu-quota", "25000", "--cpuset-cpus", "0-0"),
        *("--network", "none", "--add-host", "a.b:1.2.3.4", "--ulimit", "nofile=99"),
        *("--cache-from", "busybox", "--platform", str(host()), "--force-rm"),
        giving=(
            *("memory", "memswap", "shmsize", "cpushares", "cpuperiod", "cpuquota", "cpusetcpus"),
            *("networkmode", "extrahosts", "cachefrom", "platform", "forcerm"),
        ),
    ),
    run("no base", "--build-arg", "base="),
    run("no target", "--target", "nope"),
    run("no Dockerfile", "-f", "{}/nope"),
    run("a Dockerfile elsewhere", "-f", "nope"),
    run("a bad tag", "-t", "Bad"),
]


@pytest.fixture
def directory(tmp_path: Path, servers: tuple[Path, Path]) -> Path:
    for socket in servers:
        load(socket, tar_of(docker_archive((busybox_image(), ["busybox:latest"]))))
    return write_tree(FILES, tmp_path / "context")


_COURSE = re.compile(r"<\d+>: (Pulling|Waiting|Verifying|Download)|Downloading ")
"""How far something is, which is a matter of time."""


def classic(cli: DockerCli) -> DockerCli:
    return replace(cli, env={"DOCKER_BUILDKIT": "0"})


def heard(
    cli: DockerCli, *args: str, stdin: bytes | None = None
) -> tuple[int, list[str], list[str]]:
    """Status and lines of what is printed, IDs numbered, without the client's own advice."""
    answer = classic(cli).run("build", *args, stdin=stdin)
    ids = Ids()
    errors = re.sub(r"DEPRECATED:.*?\n\n|\x1b\[\d*m", "", answer.stderr, flags=re.DOTALL)
    lines = [line for line in ids.hide(answer.text).splitlines() if not _COURSE.match(line)]
    # The two streams of a command come as they come.
    return answer.status, lines, sorted(errors.splitlines())


@pytest.mark.parametrize("options", RUNS)
def test_the_same_is_printed(clis: Clis, directory: Path, options: tuple[str, ...]) -> None:
    words = [word.format(directory) for word in options]
    expected, got = ([heard(cli, *words, str(directory)) for _ in range(2)] for cli in clis)
    if options == ("--target", "nope"):
        # dockerd 20.10 has other words for it than later ones.
        assert 'target stage "nope" could not be found' in got[0][2][-1]
        assert [one[0] for one in got] == [one[0] for one in expected]
        return
    assert_alike(got, expected)


def test_what_checks_find_is_not_shown(clis: Clis, directory: Path, tmp_path: Path) -> None:
    """Lamina tells of it; what the client learns of the image is what it prints without."""
    (directory / "Odd").write_text("from busybox\nENV a=$nope\nMAINTAINER me\nCMD x\n")
    found = []
    for number, cli in enumerate(clis):
        file = tmp_path / f"id {number}"
        options = ["-f", f"{directory}/Odd", "--iidfile", str(file), "-t", "odd"]
        found.append(heard(cli, *options, str(directory)))
        assert cli("image", "inspect", "-f", "{{.Id}}", "odd").strip() == file.read_text()
    assert_alike(found[1], found[0])


@pytest.fixture
def sources(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The directory's context by URL, in every form that there is."""
    repository = write_tree(FILES, tmp_path / "git" / "repo.git" / "below").parent
    git(repository, "init", "--quiet", "--initial-branch=main")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "one")
    # Where clients do not, dockerd 20.10 leaves nothing out either; see docs/compatibility.md.
    archive = tar_of({name: data for name, data in FILES.items() if name != ".dockerignore"})
    alone = b"FROM busybox\nENV a=b\n"
    served = write_tree({"context.tar": archive, "Alone": alone}, tmp_path / "web")
    with (
        git_daemon(tmp_path / "git", log=tmp_path / "log") as repositories,
        web_server(served) as files,
    ):
        yield {
            "git": f"{repositories}/repo.git#main:below",
            "archive": f"{files}/context.tar",
            "Dockerfile": f"{files}/Alone",
            "nothing": f"{files}/nothing",
        }


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize("kind", ["git", "archive", "Dockerfile", "nothing"])
def test_what_comes_by_url(
    clis: Clis, sources: dict[str, str], kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client fetches it itself, and sends it as any other."""
    # It leaves what it has fetched.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    expected, got = ([heard(cli, sources[kind]) for _ in range(2)] for cli in clis)
    assert_alike(got, expected)
    assert (got[0][0] == 0) == (kind != "nothing")


@gives("image_build", "pull")
def test_a_newer_base(clis: Clis, registry: Registry, servers: tuple[Path, Path]) -> None:
    name = f"{registry.address}/cli/base:1"
    stale, fresh = small_image("stale base"), small_image("fresh base")
    load(servers[0], tar_of(docker_archive((fresh, [name]))))
    clis[0]("push", name)
    clis[0]("rmi", "--force", fresh.id)
    for socket in servers:
        load(socket, tar_of(docker_archive((stale, [name]))))
    dockerfile = f"FROM {name}\nENV a=b\n".encode()
    for options in ((), ("--pull",)):
        expected, got = (heard(cli, *options, "-", stdin=dockerfile) for cli in clis)
        assert_alike(got, expected)
    for cli in clis:
        assert cli("images", "--no-trunc", "--quiet", name) == f"{fresh.id}\n"


def test_a_base_that_is_here_for_another_platform(
    clis: Clis, registry: Registry, servers: tuple[Path, Path]
) -> None:
    """Is pulled, as later daemons do; 20.10 builds on what is here."""
    name = f"{registry.address}/cli/platforms:1"
    for architecture in ("arm64", "amd64"):
        image = make_image(layer(file("name", architecture)), architecture=architecture)
        for cli, socket in zip(clis, servers, strict=True):
            load(socket, tar_of(docker_archive((image, [name]))))
            if architecture == "arm64":
                cli("push", name)
                cli("rmi", name)
    built = []
    for cli in clis:
        dockerfile = f"FROM {name}\nENV a=b\n".encode()
        classic(cli)("build", "-t", "app", "--platform", "linux/arm64", "-", stdin=dockerfile)
        built.append(cli("image", "inspect", "-f", "{{.Architecture}}", "app"))
        nowhere = heard(cli, "--platform", "linux/s390x/x/y", "-", stdin=dockerfile)
        # docker may have one more word to say, of what it could not send any more.
        assert any("cannot parse platform specifier" in line for line in nowhere[2])
    assert built == ["amd64\n", "arm64\n"]


@gives("image_build", "x_registry_config")
def test_a_base_behind_a_login(clis: Clis, servers: tuple[Path, Path], guarded: Registry) -> None:
    name = f"{guarded.address}/private/base:1"
    dockerfile = f"FROM {name}\nENV a=b\n".encode()
    answers = []
    load(servers[0], tar_of(docker_archive((small_image("behind a login"), [name]))))
    login = ("login", "-u", "me", "--password-stdin", guarded.address)
    clis[0](*login, stdin=b"secret")
    clis[0]("push", name)
    clis[0]("rmi", name)
    for cli in clis:
        cli("logout", guarded.address)
        before = heard(cli, "-", stdin=dockerfile)
        cli(*login, stdin=b"secret")
        answers.append([before, heard(cli, "-", stdin=dockerfile)])
    docker, lamina = answers
    assert [status for status, *_ in docker] == [1, 0]
    assert_alike(lamina, docker)


@pytest.fixture
def experimental(
    program: str,
    request: pytest.FixtureRequest,
    docker_cli: Callable[[str], DockerCli],
    tmp_path: Path,
) -> Iterator[Clis]:
    """The same client for engines that say they are experimental, with busybox."""
    config = tmp_path / "lamina.toml"
    config.write_text("experimental = true\n")
    with (
        running_dockerd(options=["--experimental"]) as dockerd,
        running_lamina(options=["--config", str(config)]) as lamina,
        relay(lamina.socket) as watched,
    ):
        for socket in (dockerd.socket, lamina.socket):
            load(socket, tar_of(docker_archive((busybox_image(), ["busybox:latest"]))))
        docker, ours = docker_cli(dockerd.host), docker_cli(watched.host)
        yield replace(docker, program=program), replace(ours, program=program)
        assert_given(request.node, watched.asked)


@gives("image_build", "squash")
def test_squashed(experimental: Clis, tmp_path: Path) -> None:
    directory = write_tree(FILES, tmp_path / "context")
    expected, got = (heard(cli, "--squash", "-t", "s", str(directory)) for cli in experimental)
    assert_alike(got, expected)
    layers = [cli("image", "inspect", "-f", "{{len .RootFS.Layers}}", "s") for cli in experimental]
    assert layers == ["2\n", "2\n"]


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
@gives("build_prune", "keep_storage", "all", "filters")
def test_pruning_what_builds_keep(clis: Clis) -> None:
    """Of nothing: the classic builder of dockerd keeps nothing of that kind."""
    for options in (
        (),
        ("--all",),
        ("--keep-storage", "1GB"),
        ("--filter", "until=24h"),
        ("--filter", "unused-for=24h", "--all"),
        ("--filter", "id=x", "--filter", "type=regular"),
        ("--filter", "nonsense=1"),
        ("--filter", "until=banana"),
        ("--filter", "until=1h", "--filter", "unused-for=1h"),
    ):
        docker, lamina = (cli.run("builder", "prune", "--force", *options) for cli in clis)
        assert (lamina.status, lamina.text) == (docker.status, docker.text), options
        if options != ("--filter", "until=banana"):
            # Lamina takes points in time too, and says so.
            assert lamina.stderr == modern_words(docker.stderr), options


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
