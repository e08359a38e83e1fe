"""Every command prints what the docker client prints, both working on one dockerd."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import LaminaCli
from tests.real.docker_cli import DockerCli
from tests.real.dockerd import Dockerd
from tests.real.image_files import ImageFiles
from tests.real.images import small_image

NAMES = ["cli/one:1", "cli/one:latest", "cli.example:5000/cli/two:v2", "cli/strange:latest"]


@pytest.fixture
def docker(dockerd: Dockerd, docker_cli: Callable[[str], DockerCli]) -> DockerCli:
    return docker_cli(dockerd.host)


@pytest.fixture
def ours(dockerd: Dockerd, lamina: LaminaCli) -> LaminaCli:
    """Our command on the same dockerd, found as the docker client finds it."""
    return LaminaCli(lamina.home, {"DOCKER_HOST": dockerd.host})


@pytest.fixture
def loaded(docker: DockerCli, sample: Path) -> Iterator[None]:
    # Images of a moment ago that other tests have left would be older for the second who is asked.
    remove_all(docker)
    docker("load", "--input", str(sample))
    yield
    remove_all(docker)


def remove_all(docker: DockerCli) -> None:
    ids = {small_image("cli none").id, *docker("images", "-q", "--no-trunc").split()}
    docker.run("rmi", "--force", *ids)


def lines(text: str) -> list[str]:
    """Rows in any order: the docker client shows an image's repositories in a random one."""
    return sorted(text.splitlines())


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    "command",
    [
        "images",
        "images --all",
        "images -q",
        "images --no-trunc",
        "images --quiet --no-trunc",
        "images --digests",
        "images cli/one",
        "images cli/one:1",
        "images --filter reference=cli/*",
        "images --filter label=seed --filter reference=*:latest",
        "images --filter dangling=true",
        "images --filter since=cli/one:1",
        "images --filter before=cli/strange",
        "images no/such/image",
        "images --format {{.ID}}|{{.Repository}}|{{.Tag}}|{{.Digest}}|{{.Size}}|{{.CreatedAt}}",
        r"images --format {{.Repository}}\t{{.CreatedSince}}|{{.Containers}}|{{.SharedSize}}",
        r"images --format table\t{{.ID}}",
        "images --format {{json.ID}}",
        "history cli/one",
        "history cli/strange",
        "history --no-trunc cli/strange",
        "history --quiet --no-trunc cli/strange",
        "history --human=false cli/strange",
        "history --format {{.ID}}|{{.CreatedAt}}|{{.CreatedBy}}|{{.Size}}|{{.Comment}} cli/one",
        "tag cli/one cli/new:1",
        "tag cli/one:1 cli.example:5000/cli/other",
    ],
)
def test_prints_the_same(docker: DockerCli, ours: LaminaCli, command: str) -> None:
    arguments = [
        word.replace("json.", "json .").replace(r"table\t", "table ") for word in command.split()
    ]
    expected = lines(docker(*arguments))
    if "--human=false" in arguments:
        arguments[arguments.index("--human=false")] = "--no-human"
    assert lines(ours(*arguments)) == expected


@pytest.mark.usefixtures("loaded")
def test_rows_of_one_repository_come_in_the_same_order(docker: DockerCli, ours: LaminaCli) -> None:
    assert ours("images", "cli/one") == docker("images", "cli/one")


@pytest.mark.usefixtures("loaded")
def test_names_by_digest_alone(docker: DockerCli, ours: LaminaCli) -> None:
    assert "<none>" in ours("images", "--digests", "cli/one")
    assert lines(ours("images", "--digests")) == lines(docker("images", "--digests"))


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--format", "{{.Id}} {{.Os}} {{.RepoTags}} {{.Config.Env}}"],
        ["--format", "{{json .RootFS}}"],
    ],
)
def test_inspect(docker: DockerCli, ours: LaminaCli, options: list[str]) -> None:
    names = ["cli/one:1", "cli/strange"]
    assert ours("inspect", *options, *names) == docker("image", "inspect", *options, *names)


@pytest.mark.usefixtures("loaded")
def test_inspect_shows_what_there_is_and_tells_of_the_rest(ours: LaminaCli) -> None:
    answer = ours.run("inspect", "--format", "{{.Os}}", "cli/missing", "cli/one", "cli/gone:2")
    assert answer.status == 1
    assert answer.text == "linux\n"
    first, second = answer.stderr.splitlines()
    assert first.startswith("Error: ")
    assert first.endswith("No such image: cli/missing:latest")
    assert second.endswith("No such image: cli/gone:2")


@pytest.mark.usefixtures("loaded")
def test_disk_use(docker: DockerCli, ours: LaminaCli) -> None:
    assert ours("df") == docker("system", "df")
    verbose = docker("system", "df", "--verbose")
    images = verbose[: verbose.index("\nContainers space usage")]
    assert cells(ours("df", "--verbose")) == cells(images)


def cells(text: str) -> list[list[str]]:
    """Rows without their column SIZE, which older docker clients show with another precision."""
    rows = [re.split(r" {2,}", line) for line in lines(text)]
    return [[*row[:4], *row[5:]] for row in rows]


def test_version(docker: DockerCli, ours: LaminaCli) -> None:
    _, theirs = docker("version").split("\n\n", 1)
    client, server = ours("version").split("\n\n", 1)
    assert server == theirs
    assert client.startswith("Client:\n Version:           ")
    assert re.search(r"^ API version:       1\.\d+", client, re.MULTILINE)
    assert ours("version", "--format", "{{.Server.ApiVersion}}") == docker(
        "version", "--format", "{{.Server.APIVersion}}"
    )


def test_info(docker: DockerCli, ours: LaminaCli) -> None:
    def server(text: str) -> list[str]:
        half = text[text.index("Server:") :]
        # What older docker clients show too, and Debian's words in a random order.
        ignored = ("Registry:", "Labels:", "WARNING")
        kept = (line for line in half.splitlines() if line.strip())
        return [
            " ".join(sorted(line.split())) if line.startswith(" Runtimes:") else line
            for line in kept
            if not line.strip().startswith(ignored)
        ]

    assert server(ours("info")) == server(docker("info"))


@pytest.mark.usefixtures("loaded")
def test_events(docker: DockerCli, ours: LaminaCli) -> None:
    ours("tag", "cli/one", "cli/event:1")
    image = small_image("cli one").id
    now = int(time.time())
    options = [
        # Fixed times: with times before now, the second client might see fewer than the first.
        "--since",
        str(now - 60),
        "--until",
        str(now + 1),
        "--filter",
        "event=tag",
        "--filter",
        f"image={image}",
    ]
    printed = ours("events", *options)
    assert printed == docker("events", *options)
    assert printed.splitlines()[-1].endswith(f" image tag {image} (name=cli/event:1, seed=cli one)")
    shown = ours("events", *options, "--format", "{{.Action}} {{.Actor.Attributes.name}}")
    assert shown.splitlines()[-1] == "tag cli/event:1"


# Dozens of processes, one after the other, on a machine that may be busy.
def test_load_rmi_and_prune(docker: DockerCli, ours: LaminaCli, sample: Path) -> None:
    def story(cli: Callable[..., str], *prune: str) -> list[str]:
        return [
            *lines(cli("load", "--input", str(sample))),
            *lines(cli("load", "--quiet", stdin=sample)),
            *cli("rmi", "cli/one:1").splitlines(),
            *cli("rmi", "--no-prune", "cli/one").splitlines(),
            *cli("rmi", "--force", *NAMES[2:]).splitlines(),
            *lines(cli(*prune, "--force")),
            *lines(cli(*prune, "--all", "--force", "--filter", "label=seed=none")),
        ]

    remove_all(docker)
    expected = story(docker, "image", "prune")
    assert story(ours, "prune") == expected
    assert any(line.startswith("Total reclaimed space: ") for line in expected)
    assert docker("images", "--quiet", "--all") == ""


@pytest.mark.usefixtures("loaded")
def test_save_to_a_file_and_to_a_pipe(docker: DockerCli, ours: LaminaCli, tmp_path: Path) -> None:
    file = tmp_path / "saved.tar"
    assert ours("save", "--output", str(file), *NAMES[:3]) == ""
    piped = ours.run("save", "cli/strange")
    assert (piped.status, piped.stderr) == (0, "")
    before = docker("images", "--no-trunc", "--quiet", "--filter", "reference=cli*/*")
    docker("rmi", *NAMES)
    docker("load", "--input", str(file))
    docker("load", stdin=piped.stdout)
    after = docker("images", "--no-trunc", "--quiet", "--filter", "reference=cli*/*")
    assert lines(after) == lines(before)
    assert [path.name for path in tmp_path.iterdir() if "saved" in path.name] == ["saved.tar"]


def test_a_failed_save_leaves_no_file(ours: LaminaCli, tmp_path: Path) -> None:
    answer = ours.run("save", "--output", str(tmp_path / "x.tar"), "cli/no-such-image")
    assert answer.status == 1
    assert "No such image: cli/no-such-image" in answer.stderr
    assert not [path for path in tmp_path.iterdir() if "x.tar" in path.name]


def test_import(docker: DockerCli, ours: LaminaCli, image_files: ImageFiles) -> None:
    options = ["--change", "ENV A=b", "--change", 'CMD ["x"]', "--message", "from a tarball"]
    from_file = ours("import", *options, str(image_files.busybox_rootfs), "cli/imported:1").strip()
    from_pipe = ours("import", "-", stdin=image_files.busybox_rootfs).strip()
    shown = "{{.Id}} {{.Comment}} {{.Config.Env}} {{.Config.Cmd}} {{.RepoTags}}"
    assert docker("image", "inspect", "--format", shown, "cli/imported:1").strip() == (
        f"{from_file} from a tarball [A=b] [x] [cli/imported:1]"
    )
    assert docker("image", "inspect", "--format", "{{.Comment}}", from_pipe) == "Imported from -\n"
    docker("rmi", from_file, from_pipe)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["history", "cli/none"], "No such image: cli/none:latest"),
        (["tag", "cli/none", "x"], "No such image: cli/none:latest"),
        (["tag", "cli/none", "X"], "invalid reference format: repository name must be lowercase"),
        (["images", "--filter", "x=y"], "nvalid filter 'x'"),
        (["load", "--input", "/no/such/file"], "/no/such/file: No such file or directory"),
        (["import", "/no/such/file"], "/no/such/file: No such file or directory"),
        (["import", "-", "Bad"], "invalid reference format: repository name must be lowercase"),
        (["images", "--filter", "x"], "expected format is name=value"),
        (["images", "--format", "{{range .}}"], "template parsing error"),
        (["prune"], "image prune has been cancelled"),
    ],
)
def test_errors_are_one_line_on_stderr(ours: LaminaCli, arguments: list[str], message: str) -> None:
    answer = ours.run(*arguments)
    assert answer.status == 1
    assert answer.stderr.startswith("Error: ")
    assert answer.stderr.endswith("\n")
    assert answer.stderr.count("\n") == 1
    assert message in answer.stderr
