"""One data root, three ways to it: the docker client on a daemon, `lamina -H`, and `lamina --root`.

They print the same, and see what the others do at once.
"""

import contextlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import LaminaCli
from tests.real.docker_cli import DockerCli
from tests.real.image_files import ImageFiles
from tests.real.images import small_image
from tests.real.lamina_daemon import LaminaDaemon, lamina_daemon as running_lamina

Cli = Callable[..., str]
NAMES = ["cli/one:1", "cli/one:latest", "cli.example:5000/cli/two:v2", "cli/strange:latest"]


@pytest.fixture(scope="module")
def daemon() -> Iterator[LaminaDaemon]:
    with running_lamina() as daemon:
        yield daemon


@pytest.fixture
def docker(daemon: LaminaDaemon, docker_cli: Callable[[str], DockerCli]) -> DockerCli:
    return docker_cli(daemon.host)


@pytest.fixture
def rooted(daemon: LaminaDaemon, lamina: LaminaCli) -> LaminaCli:
    """Our command on the daemon's data root, without the daemon."""
    return LaminaCli(lamina.home, {"LAMINA_ROOT": str(daemon.root)})


@pytest.fixture
def hosted(daemon: LaminaDaemon, lamina: LaminaCli) -> LaminaCli:
    """Our command on the daemon."""
    return LaminaCli(lamina.home, {"DOCKER_HOST": daemon.host})


@pytest.fixture
def loaded(rooted: LaminaCli, sample: Path) -> Iterator[None]:
    rooted("load", "--input", str(sample))
    yield
    if ids := set(rooted("images", "--quiet", "--all").split()):
        rooted("rmi", "--force", *ids)


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    "command",
    [
        "images",
        "images --all --no-trunc --digests",
        "images cli/one",
        "images --filter dangling=true --quiet",
        "history cli/strange",
        "history --no-trunc cli/one",
    ],
)
def test_three_ways_print_the_same(
    docker: DockerCli, hosted: LaminaCli, rooted: LaminaCli, command: str
) -> None:
    expected = sorted(docker(*command.split()).splitlines())
    assert sorted(hosted(*command.split()).splitlines()) == expected
    assert rooted(*command.split()) == hosted(*command.split())


@pytest.mark.usefixtures("loaded")
def test_disk_use_of_containers(docker: DockerCli, hosted: LaminaCli, rooted: LaminaCli) -> None:
    docker("create", "--name", "df", "--network=none", "-v", "/v", "cli/one:1", "x")
    expected = docker("system", "df")
    assert re.search(r"Containers +1 +0 ", expected)
    assert re.search(r"Local Volumes +1 +1 ", expected)
    assert hosted("df").split() == rooted("df").split() == expected.split()
    docker("rm", "df")


@pytest.mark.usefixtures("loaded")
def test_inspect(docker: DockerCli, hosted: LaminaCli, rooted: LaminaCli) -> None:
    names = ["cli/one:1", "cli/strange"]
    expected = json.loads(docker("image", "inspect", *names))
    assert [image["RepoTags"] for image in expected][1] == ["cli/strange:latest"]
    shown = rooted("inspect", *names)
    assert hosted("inspect", *names) == shown
    # The docker client may speak another version of the API, which says a little more or less.
    differing = ("VirtualSize", "Container", "ContainerConfig")
    assert [
        {key: value for key, value in image.items() if key not in differing}
        for image in json.loads(shown)
    ] == [
        {key: value for key, value in image.items() if key not in differing} for image in expected
    ]


@pytest.mark.usefixtures("loaded")
def test_disk_use_version_and_info(docker: DockerCli, hosted: LaminaCli, rooted: LaminaCli) -> None:
    assert hosted("df") == rooted("df") == docker("system", "df")
    _, server = rooted("version").split("\n\n")
    assert server == hosted("version").split("\n\n")[1]
    assert server.startswith("Server: Lamina\n Engine:\n  Version: ")
    images = docker("info", "--format", "{{.Images}}").strip()
    assert f"\n Images: {images}\n" in rooted("info")
    assert rooted("info", "--format", "{{.Images}}").strip() == images


# Dozens of processes, one after the other, on a machine that may be busy.
def test_a_story_told_by_turns(  # noqa: PLR0917 - fixtures
    docker: DockerCli,
    hosted: LaminaCli,
    rooted: LaminaCli,
    sample: Path,
    image_files: ImageFiles,
    tmp_path: Path,
) -> None:
    assert "Loaded image: cli/one:1\n" in rooted("load", stdin=sample)
    docker("tag", "cli/one:1", "cli/by:docker")
    hosted("tag", "cli/by:docker", "cli/by:host")
    rooted("tag", "cli/by:host", "cli/by:root")
    tags = "{{.Repository}}:{{.Tag}}"
    assert rooted("images", "cli/by", "--format", tags).split() == [
        "cli/by:docker",
        "cli/by:host",
        "cli/by:root",
    ]
    file = tmp_path / "saved.tar"
    rooted("save", "--output", str(file), *NAMES)
    piped = hosted.run("save", *NAMES)
    assert piped.stdout == file.read_bytes()
    assert "Untagged: cli/by:docker\n" in rooted(
        "rmi", "cli/by:docker", "cli/by:host", "cli/by:root"
    )
    hosted("rmi", "--force", *NAMES)
    assert docker("images", "--quiet") == docker("images", "--quiet", "--filter", "dangling=true")
    assert small_image("cli none").id in rooted("prune", "--force")
    assert docker("images", "--quiet", "--all") == ""
    docker("load", "--input", str(file))
    imported = rooted(
        "import", "--change", "ENV A=b", str(image_files.busybox_rootfs), "cli/imported"
    ).strip()
    assert docker("image", "inspect", "--format", "{{.Config.Env}}", imported).strip() == "[A=b]"
    assert hosted("history", "--format", "{{.Comment}}", imported).strip() == "Imported from -"
    printed = hosted("events", "--since", "10m", "--until", "0s", "--format", "{{.Action}}").split()
    assert (
        printed
        == rooted("events", "--since", "10m", "--until", "0s", "--format", "{{.Action}}").split()
    )
    for action in ("load", "tag", "untag", "delete", "save", "prune", "import"):
        assert action in printed
    report = rooted("prune", "--all", "--force")
    assert f"untagged: cli/imported:latest\ndeleted: {imported}\n" in report
    assert docker("images", "--all", "--quiet") == ""


@pytest.mark.parametrize("way", ["hosted", "rooted"])
def test_events_as_they_happen(
    request: pytest.FixtureRequest, way: str, rooted: LaminaCli, sample: Path
) -> None:
    watcher: LaminaCli = request.getfixturevalue(way)
    # The tag is there already when the watcher begins: it shows that first, so it is listening.
    rooted("load", "--input", str(sample))
    rooted("tag", "cli/one:1", f"cli/before:{way}")
    argv = [sys.executable, "-m", "lamina", "events", "--since", "10m", "--filter", "event=tag"]
    argv += ["--format", "{{.Actor.Attributes.name}}"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, env=watcher.environment(), text=True
    ) as process:
        assert process.stdout is not None
        try:
            while process.stdout.readline() != f"cli/before:{way}\n":
                pass
            rooted("tag", "cli/one:1", f"cli/after:{way}")
            assert process.stdout.readline() == f"cli/after:{way}\n"
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 130
    rooted("rmi", "--force", *set(rooted("images", "--quiet", "--all").split()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["history", "cli/none"], "No such image: cli/none:latest"),
        (["rmi", "cli/none"], "No such image: cli/none:latest"),
        (["save", "cli/none"], "No such image: cli/none"),
        (["images", "--filter", "x=y"], "invalid filter 'x'"),
        (["load"], "does not contain a manifest.json"),
        (
            ["events", "--since", "nonsense"],
            'failed to parse value as time or duration: "nonsense"',
        ),
    ],
)
def test_errors_are_the_same(
    hosted: LaminaCli, rooted: LaminaCli, arguments: list[str], message: str
) -> None:
    for cli in (hosted, rooted):
        answer = cli.run(*arguments, stdin=bytes(10240))
        assert (answer.status, answer.stdout) == (1, b"")
        assert answer.stderr.startswith("Error: ")
        assert message in answer.stderr


def test_rmi_goes_on_after_an_error_and_force_ignores_missing_images(
    rooted: LaminaCli, sample: Path
) -> None:
    rooted("load", "--input", str(sample))
    answer = rooted.run("rmi", "cli/none", "cli/one:1")
    assert (answer.status, answer.text) == (1, "Untagged: cli/one:1\n")
    assert answer.stderr == "Error: No such image: cli/none:latest\n"
    forced = rooted.run("rmi", "--force", "cli/none", "cli/one")
    assert forced.status == 0
    assert forced.stderr == "No such image: cli/none:latest\n"
    rooted("rmi", "--force", *set(rooted("images", "--quiet", "--all").split()))


def test_root_and_host_exclude_each_other(rooted: LaminaCli) -> None:
    answer = rooted.run("images", "--root", "/x", "--host", "tcp://127.0.0.1:1")
    assert answer.status == 2
    assert "--root excludes --host and --context" in answer.stderr


def test_a_host_that_is_given_beats_a_root_of_the_environment(rooted: LaminaCli) -> None:
    answer = rooted.run("images", "--host", "tcp://127.0.0.1:1")
    assert answer.status == 1
    assert answer.stderr == (
        "Error: Cannot connect to the Docker daemon at tcp://127.0.0.1:1."
        " Is the docker daemon running?\n"
    )


def test_version_of_this_program_without_an_engine(lamina: LaminaCli) -> None:
    answer = lamina.run("version", "--host", "unix:///no/such.sock")
    assert answer.status == 1
    assert answer.text.startswith("Client:\n Version: ")
    assert "Server" not in answer.text
    assert answer.stderr.startswith("Error: Cannot connect to the Docker daemon at unix:///no/such")


def test_a_reader_that_has_seen_enough(rooted: LaminaCli) -> None:
    argv = [sys.executable, "-m", "lamina", "images", "--format", "json"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=rooted.environment()
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        with contextlib.closing(process.stderr):
            assert process.stderr.read() == b""


def test_image_names_are_completed(rooted: LaminaCli, sample: Path) -> None:
    rooted("load", "--input", str(sample))
    environ = {
        **rooted.environment(),
        "_LAMINA_COMPLETE": "bash_complete",
        "COMP_WORDS": "lamina history cli/",
        "COMP_CWORD": "2",
    }
    code = "from lamina.cli import lamina\nlamina(prog_name='lamina')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environ
    )
    assert sorted(line.partition(",")[2] for line in done.stdout.splitlines()) == [
        "cli/one",
        "cli/one:1",
        "cli/one:latest",
        "cli/strange",
        "cli/strange:latest",
    ]
    rooted("rmi", "--force", *set(rooted("images", "--quiet", "--all").split()))


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("options", [(), ("-q",), ("--progress", "json")])
def test_warnings_of_builds(hosted: LaminaCli, rooted: LaminaCli, options: tuple[str, ...]) -> None:
    """What the checks of a build find is told on a daemon, too."""
    dockerfile = b"from cli/one:1\nENV a=$nope\nMAINTAINER me\n"
    told = []
    for cli in (rooted, hosted):
        answer = cli.run("build", "-t", "cli/warned", *options, "-", stdin=dockerfile)
        assert answer.status == 0
        lines = [line for line in answer.text.splitlines() if '"BuildWarning"' in line]
        told.append((lines, answer.stderr))
    rooted("rmi", "cli/warned")
    assert told[0] == told[1]
    shown = "".join(told[0][0]) + told[0][1]
    assert ("MaintainerDeprecated" in shown) == ("-q" not in options)
