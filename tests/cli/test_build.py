"""`lamina build`: on a dockerd as `docker build` does it, and without a daemon."""

import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lamina.engine import Engine
from lamina.models import HostConfig
from lamina.oci.containerconfig import ContainerConfig
from tests.cli.conftest import LaminaCli
from tests.cli.test_progress_bars import run
from tests.real.docker_cli import DockerCli
from tests.real.dockerd import Dockerd
from tests.real.image_files import ImageFiles
from tests.real.images import write_tree
from tests.real.programs import require, run as run_program
from tests.real.terminal import Terminal

DOCKERFILE = b"""FROM busybox AS builder
ARG WORD=none
COPY . /src/
RUN echo $WORD && ls -a /src
FROM busybox
COPY --from=builder /src/a /a
LABEL kept=1
CMD ["cat", "/a"]
"""

FILES = {
    "Dockerfile": DOCKERFILE,
    "other/Dockerfile": DOCKERFILE.replace(b"none", b"other"),
    "a": b"a",
    "x.o": b"o",
    ".dockerignore": b"*.o\n",
}

RUNS = {
    "plain": ("-t", "cli-build:1"),
    "another Dockerfile": ("-f", "{}/other/Dockerfile", "--label", "a=b"),
    "a target": ("--target", "builder", "--build-arg", "WORD"),
    "quiet": ("-q",),
    "an argument too many": ("--build-arg", "nope=1"),
    "no target": ("--target", "nope"),
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write_tree(FILES, tmp_path / "context")


@pytest.fixture
def rooted(lamina: LaminaCli, image_files: ImageFiles, tmp_path: Path) -> LaminaCli:
    """Our command on a data root of its own, in which there is busybox."""
    cli = LaminaCli(lamina.home, {"LAMINA_ROOT": str(tmp_path / "root"), "WORD": "here"})
    cli("load", "--quiet", "--input", str(image_files.busybox_archive))
    return cli


@pytest.fixture
def docker(
    dockerd: Dockerd, docker_cli: Callable[[str], DockerCli], image_files: ImageFiles
) -> DockerCli:
    """The docker client with its classic builder, on a dockerd that has busybox."""
    client = replace(docker_cli(dockerd.host), env={"DOCKER_BUILDKIT": "0", "WORD": "here"})
    client("load", "--input", str(image_files.busybox_archive))
    return client


def without_ids(text: str) -> list[str]:
    return re.sub(r"\x1b\[\d*m|\b[0-9a-f]{12,64}\b", "", text).splitlines()


@pytest.mark.parametrize("name", RUNS)
def test_prints_and_ends_as_docker_does(
    name: str, docker: DockerCli, lamina: LaminaCli, directory: Path
) -> None:
    ours = LaminaCli(lamina.home, {"DOCKER_HOST": docker.host, "WORD": "here"})
    arguments = ["--no-cache", *(word.format(directory) for word in RUNS[name])]
    expected = docker.run("build", *arguments, str(directory))
    got = ours.run("build", *arguments, str(directory))
    assert got.status == expected.status
    # What only docker's client says: how much it sends.
    printed = re.sub(r"^Sending build context.*\n\n?", "", expected.text)
    assert without_ids(got.text) == without_ids(printed)
    if expected.status:
        message = got.stderr.removeprefix("Error: ").strip()
        assert message in expected.stderr


def test_the_status_is_that_of_the_command(rooted: LaminaCli, tmp_path: Path) -> None:
    id_file = tmp_path / "id"
    id_file.write_text("stale")
    dockerfile = b"FROM busybox\nRUN echo out; exit 7\n"
    answer = rooted.run("build", "-q", "--iidfile", str(id_file), "-", stdin=dockerfile)
    assert (answer.status, answer.text) == (7, "")
    assert "\nout\n" in answer.stderr
    assert answer.stderr.endswith("returned a non-zero code: 7\n")
    assert not id_file.exists()


async def test_containers_of_steps(rooted: LaminaCli) -> None:
    dockerfile = b"FROM busybox\nENV a=b\nRUN exit 7\n"
    for option, count in (("--rm", 0), ("--no-rm", 2)):
        assert rooted.run("build", "--no-cache", option, "-", stdin=dockerfile).status == 7
        async with Engine.open(Path(rooted.env["LAMINA_ROOT"])) as engine:
            assert len(await engine.container_list(all=True)) == count


def test_contexts(rooted: LaminaCli, directory: Path, tmp_path: Path) -> None:
    id_file = tmp_path / "id"
    from_directory = rooted("build", "-q", "--iidfile", str(id_file), str(directory)).strip()
    assert id_file.read_text() == from_directory
    outside = tmp_path / "Outside"
    outside.write_bytes(DOCKERFILE)
    assert rooted("build", "-q", "-f", str(outside), str(directory)).startswith("sha256:")
    assert rooted("build", "-q", "-f", "-", str(directory), stdin=DOCKERFILE).startswith("sha256:")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.add(directory, "")
    piped = rooted("build", "-q", "-f", "other/Dockerfile", "-", stdin=archive.getvalue())
    assert piped.startswith("sha256:")
    both = rooted.run("build", "-f", "-", "-", stdin=b"")
    assert "can't use stdin for both" in both.stderr
    nowhere = rooted.run("build", str(tmp_path / "nowhere"))
    assert (nowhere.status, nowhere.text) == (1, "")
    assert nowhere.stderr.startswith("Error: unable to prepare context: path ")


def test_a_context_that_the_engine_fetches(rooted: LaminaCli, directory: Path) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=str(directory))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        (directory / "Alone").write_text("FROM busybox\nENV FETCHED=1\n")
        url = f"http://127.0.0.1:{server.server_port}/Alone"
        answer = rooted.run("build", "-t", "cli/fetched:1", url)
        server.shutdown()
        thread.join()
    assert (answer.status, answer.stderr) == (0, "")
    shown = rooted("inspect", "--format", "{{json .Config.Env}}", "cli/fetched:1")
    assert "FETCHED=1" in shown
    added = rooted.run("build", "-f", "-", url, stdin=b"FROM scratch\n")
    assert "cannot be added to a context by URL" in added.stderr


def test_secrets_and_arguments(rooted: LaminaCli, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from a file\n")
    dockerfile = (
        b"FROM busybox\nARG WORD\nRUN --mount=type=secret,id=f --mount=type=secret,id=WORD"
        b" cat /run/secrets/f && cat /run/secrets/WORD && echo /$WORD\n"
    )
    options = ["--secret", f"id=f,src={secret}", "--secret", "id=WORD", "--build-arg", "WORD"]
    assert "from a file\nhere/here\n" in rooted("build", *options, "-", stdin=dockerfile)


def ssh_add() -> dict[str, bytes]:
    """The program with the libraries that it needs, where they are."""
    program = require("ssh-add")
    linked = re.findall(r"(/\S+) \(0x", run_program(["ldd", program]))
    paths = (program, *linked)
    return {f"root{path}": Path(path).read_bytes() for path in paths}


def test_agents(rooted: LaminaCli, tmp_path: Path) -> None:
    dockerfile = (
        b"FROM busybox\nCOPY --chmod=755 root /\n"
        b"RUN --mount=type=ssh --mount=type=ssh,id=other,target=/other,required"
        b" %b -l && SSH_AUTH_SOCK=/other %b -l\n"
    )
    dockerfile %= (require("ssh-add").encode(),) * 2
    context = write_tree({"Dockerfile": dockerfile, **ssh_add()}, tmp_path / "context")
    keygen = [require("ssh-keygen"), "-q", "-t", "ed25519", "-N", ""]
    for name in ("one", "two"):
        run_program([*keygen, "-C", f"the-{name}", "-f", str(tmp_path / name)])
    both = f"other={tmp_path / 'one'},{tmp_path / 'two'}"
    with tempfile.TemporaryDirectory() as directory:
        socket = f"{directory}/agent"
        # It ends with its command, which ends as this lets go of it.
        agent = ["ssh-agent", "-a", socket, "sh", "-c", 'ssh-add -q "$1" && echo on; cat', "-"]
        with subprocess.Popen(
            [*agent, str(tmp_path / "two")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"on\n"
            user = replace(rooted, env={**rooted.env, "SSH_AUTH_SOCK": socket})
            printed = user("build", "--ssh", "default", "--ssh", both, str(context))
    assert re.findall(r"the-\w+", printed) == ["the-two", "the-one", "the-two"]
    missing = rooted.run("build", "--ssh", "default=/nowhere", str(context))
    assert missing.stderr == "Error: failed to open /nowhere: no such file or directory\n"
    without = replace(rooted, env={**rooted.env, "PATH": str(tmp_path)})
    answer = without.run("build", "--ssh", both, str(context))
    assert answer.stderr.startswith(
        "Error: --ssh with keys needs ssh-agent, which is not installed"
    )


def test_outputs(rooted: LaminaCli, directory: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    rooted("build", "-q", "--output", str(out), str(directory))
    assert (out / "a").read_bytes() == b"a"
    answer = rooted.run("build", "-o", "-", str(directory))
    assert answer.status == 0
    assert "Successfully built" in answer.stderr
    with tarfile.open(fileobj=io.BytesIO(answer.stdout)) as tar:
        assert "a" in tar.getnames()
    for kind in ("oci", "docker"):
        archive = tmp_path / f"{kind}.tar"
        options = ["-t", "cli/archived:1", "-o", f"type={kind},dest={archive}"]
        rooted("build", "-q", *options, str(directory))
        assert "cli/archived:1" in rooted("load", "--input", str(archive))
    rooted("build", "-q", "-o", "type=image,name=cli/output:1", str(directory))
    assert rooted("images", "-q", "cli/output:1")
    unknown = rooted.run("build", "-o", f"type=local,dest={out},x=y", str(directory))
    assert unknown.stderr.startswith("Error: unknown attribute")


def test_outputs_of_another_engine(
    docker: DockerCli, lamina: LaminaCli, directory: Path, tmp_path: Path
) -> None:
    ours = LaminaCli(lamina.home, {"DOCKER_HOST": docker.host})
    out, archive = tmp_path / "out", tmp_path / "oci.tar"
    options = ["-t", "cli/other:1", "-o", str(out), "-o", f"type=oci,dest={archive}"]
    image_id = ours("build", "-q", *options, str(directory)).strip()
    assert (out / "a").read_bytes() == b"a"
    rooted = LaminaCli(lamina.home, {"LAMINA_ROOT": str(tmp_path / "root")})
    rooted("load", "--quiet", "--input", str(archive))
    assert rooted("images", "--quiet", "--no-trunc", "cli/other:1").strip() == image_id
    answer = ours.run("build", "-o", "-", str(directory))
    with tarfile.open(fileobj=io.BytesIO(answer.stdout)) as tar:
        assert "a" in tar.getnames()


def test_events_for_programs(rooted: LaminaCli, directory: Path) -> None:
    printed = rooted("build", "--progress", "json", str(directory))
    events = [json.loads(line) for line in printed.splitlines()]
    steps = [event for event in events if event["type"] == "BuildStep"]
    assert {step["stage"] for step in steps} == {"builder", "stage-1"}
    assert {step["state"] for step in steps} == {"started", "completed"}
    assert any(event["type"] == "BuildOutput" and "Dockerfile" in event["text"] for event in events)


def test_a_live_display_on_a_terminal(rooted: LaminaCli, directory: Path) -> None:
    status, printed, drawn = run(rooted, "build", "-t", "cli/live:1", str(directory))
    assert status == 0
    assert without_ids(printed) == ["Successfully built ", "Successfully tagged cli/live:1"]
    assert "[builder 3/8] COPY . /src/" in drawn
    assert "8 steps, 0 from the cache" in drawn
    (directory / "Dockerfile").write_bytes(b"FROM busybox\nRUN echo why; exit 3\n")
    status, printed, drawn = run(rooted, "build", str(directory))
    assert (status, printed) == (3, "")
    assert drawn.endswith("returned a non-zero code: 3\r\n")
    assert "  why\r\n" in drawn


def test_what_commands_write_is_no_result(rooted: LaminaCli, directory: Path) -> None:
    lines = "FROM busybox\nRUN echo Successfully installed it\nRUN echo Successfully built it"
    (directory / "Dockerfile").write_text(lines)
    status, printed, _ = run(rooted, "build", str(directory))
    assert (status, without_ids(printed)) == (0, ["Successfully built "])
    (directory / "Dockerfile").write_text(f"{lines}; exit 3")
    status, printed, _ = run(rooted, "build", str(directory))
    assert (status, printed) == (3, "")


def test_what_commands_write_does_not_steer_the_terminal(
    rooted: LaminaCli, directory: Path
) -> None:
    write = r"printf 'a\033[1mb\033]0;title\007c\342\200\256\n'"
    (directory / "Dockerfile").write_text(f"FROM busybox\nRUN {write}")
    argv = [sys.executable, "-m", "lamina", "build", "--progress", "plain", str(directory)]
    with Terminal(argv, rooted.environment()) as terminal:
        heard = terminal.wait_for(b"Successfully built")
    assert rb"ab\x1b]0;title\x07c\u202e" in heard
    assert b"\x1b" not in heard
    raw = rooted("build", "--progress", "plain", "--no-cache", str(directory))
    assert "ab\x1b]0;title\x07c\u202e\n" in raw


def test_a_live_display_of_another_engine(
    docker: DockerCli, lamina: LaminaCli, directory: Path
) -> None:
    ours = LaminaCli(lamina.home, {"DOCKER_HOST": docker.host})
    status, printed, drawn = run(ours, "build", "--no-cache", "-t", "cli/live:2", str(directory))
    assert status == 0
    assert without_ids(printed) == ["Successfully built ", "Successfully tagged cli/live:2"]
    assert "[builder 3/8] COPY . /src/" in drawn
    assert "8 steps, 0 from the cache" in drawn


def test_what_is_kept_is_pruned(rooted: LaminaCli) -> None:
    dockerfile = b"FROM busybox\nRUN --mount=type=cache,target=/c head -c 1000000 /dev/zero >/c/x\n"
    rooted("build", "-q", "-", stdin=dockerfile)
    assert rooted("builder", "prune", "--force", "--keep-storage", "1g").endswith(": 0B\n")
    cancelled = rooted.run("builder", "prune", stdin=b"n\n")
    assert (cancelled.status, cancelled.stderr) == (1, "Error: builder prune has been cancelled\n")
    pruned = rooted("builder", "prune", "--all", stdin=b"y\n")
    assert "Deleted build cache objects:\n" in pruned
    assert re.search(r"Total reclaimed space: 1(\.\d+)?MB\n$", pruned)


async def test_commit_without_a_daemon(rooted: LaminaCli) -> None:
    async with Engine.open(Path(rooted.env["LAMINA_ROOT"])) as engine:
        config = ContainerConfig(image="busybox", cmd=("sh", "-c", "echo made > /made"))
        alone = HostConfig(network_mode="none")
        made = await engine.container_create(config, host_config=alone, name="done")
        await engine.container_start(made.id)
        assert (await engine.container_wait(made.id)).status_code == 0
    options = ["-m", "why", "-c", "ENV A=1", "done", "cli/committed:1"]
    image_id = rooted("commit", *options).strip()
    assert rooted("images", "--quiet", "--no-trunc", "cli/committed:1").strip() == image_id
    assert rooted("cat", "cli/committed:1", "/made") == "made\n"
    shown = "{{.Comment}} {{.Config.Env}} {{.Container}}"
    assert rooted("inspect", "--format", shown, image_id) == f"why [PATH=/bin A=1] {made.id}\n"
    missing = rooted.run("commit", "nosuch")
    assert missing.stderr == "Error: No such container: nosuch\n"


def test_commit_as_docker_does(docker: DockerCli, lamina: LaminaCli) -> None:
    container = docker("create", "busybox", "true").strip()
    ours = LaminaCli(lamina.home, {"DOCKER_HOST": docker.host})
    options = ["-m", "why", "-a", "me", "-c", "ENV A=1", "-c", "CMD x", container]
    shown = "{{.Comment}} {{.Author}} {{.Config.Env}} {{.Config.Cmd}} {{.Parent}}"
    made = [cli("commit", *options, "cli/commit:1").strip() for cli in (docker, ours)]
    told = [docker("image", "inspect", "--format", shown, image_id) for image_id in made]
    assert told[0] == told[1]
    assert docker("images", "-q", "--no-trunc", "cli/commit:1").strip() == made[1]
    docker("rm", container)
