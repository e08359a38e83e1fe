"""What the docker client prints about the same images on dockerd and on Lamina."""

from dataclasses import replace

import pytest

from tests.compat.conftest import Clis
from tests.conformance.differences import modern_words
from tests.conformance.stock import DANGLING, LABELLED, PLAIN

pytestmark = pytest.mark.usefixtures("stocked")

SHORT = PLAIN.id.removeprefix("sha256:")[:12]

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("images",),
    ("image", "ls"),
    ("image", "list"),
    ("images", "-a"),
    ("images", "-q"),
    ("images", "-qa", "--no-trunc"),
    ("images", "--no-trunc"),
    ("images", "--digests"),
    ("images", "--digests", "--no-trunc", "-a"),
    ("images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}} {{.CreatedAt}} {{.Size}}"),
    ("images", "--format", "{{json .}}"),
    ("images", "--format", "table {{.ID}}\t{{.Tag}}\t{{.Digest}}"),
    ("images", "stock"),
    ("images", "stock:1"),
    ("images", "*/stock"),
    ("images", "none"),
    *(
        ("images", "--filter", filter)
        for filter in (
            "dangling=true",
            "dangling=false",
            "dangling=banana",
            "label=colour",
            "label=colour=blue",
            "label=none",
            "before=stock:labelled",
            "since=stock:labelled",
            f"since={SHORT}",
            "before=none:1",
            "reference=stock:*",
            "reference=*/*",
            "reference=[",
            "nonsense=1",
        )
    ),
    ("images", "--filter", "label=colour", "--filter", "dangling=true"),
    ("images", "--filter", "before=child:1", "--filter", "since=stock:1", "-q"),
    ("history", "stock:1"),
    ("history", "stock:labelled"),
    ("history", "--no-trunc", "stock:labelled"),
    ("history", "-q", "twice:1"),
    ("history", "-q", "--no-trunc", "child:1"),
    ("history", "--human=false", "twice:1"),
    ("history", "--format", "{{json .}}", "child:1"),
    ("image", "history", "none"),
    ("image", "history", "Bad"),
    ("image", "inspect", "--format", "{{json .Config}} {{.Os}} {{.Architecture}}", "stock:1"),
    ("image", "inspect", "--format", "{{json .RootFS}}{{.Size}}", "stock:labelled", "child:1"),
    ("image", "inspect", "--format", "{{json .Config}}", "registry.example.com/a/b/c:1.0-rc.1_x"),
    ("image", "inspect", "--format", "{{.Id}} {{.RepoTags}} {{.Created}}", SHORT, DANGLING.id),
    ("image", "inspect", "none:1"),
    ("image", "inspect", "stock:1", "none:1", "--format", "{{.Id}}"),
    ("image", "inspect", "Bad"),
    ("inspect", "--format", "{{.Id}}", "stock:1"),
    ("inspect", "--type", "image", "--format", "{{.Id}}", LABELLED.id),
    ("inspect", "none:1"),
    ("inspect", "--type", "image", "none:1"),
    ("version", "--format", "{{.Server.Os}}/{{.Server.Arch}} {{.Server.KernelVersion}}"),
    ("info", "--format", "{{.Images}} {{.Containers}} {{.OSType}} {{.NCPU}} {{.Name}}"),
    ("system", "info", "--format", "{{.Architecture}} {{.IndexServerAddress}}"),
    ("system", "df"),
    ("system", "df", "-v"),
    ("system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Active}} {{.Size}}"),
    ("save", "none:1"),
    ("save", "stock:1", "none:1"),
    ("save", "Bad"),
    ("tag", "none:1", "x"),
    ("tag", "stock:1", "Bad"),
    ("tag", "stock:1", "x@sha256:" + "0" * 64),
    ("rmi", "none:1"),
    ("rmi", "Bad"),
    ("rmi", "none:1", "none:2"),
    ("rmi", "-f", "none:1"),
    ("image", "prune", "-f", "--filter", "nonsense=1"),
    ("image", "prune", "-f", "--filter", "until=banana"),
    ("ps", "-a"),
    ("ps", "-aq"),
    ("container", "ls"),
    ("volume", "ls"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_same_output(clis: Clis, command: tuple[str, ...]) -> None:
    docker, lamina = (cli.run(*command) for cli in clis)
    assert (lamina.stderr, lamina.status) == (modern_words(docker.stderr), docker.status)
    if {"images", "ls", "list", "df"} & set(command):
        # The client itself prints the names of several repositories in the order of a Go map.
        assert sorted(lamina.text.splitlines()) == sorted(docker.text.splitlines())
    else:
        assert lamina.text == docker.text


def test_inspect_prints_the_same_members_in_the_same_order(
    clis: Clis,
) -> None:
    names = ("stock:1", "stock:labelled", "child:1", "twice:1", "bare:1")
    # The newest version that both engines speak: later ones leave members out.
    spoken = {"DOCKER_API_VERSION": "1.41"}
    docker, lamina = (replace(cli, env=spoken)("image", "inspect", *names) for cli in clis)
    assert without_graph_driver(lamina) == without_graph_driver(docker)


def without_graph_driver(text: str) -> list[str]:
    """The lines of an inspect without where the files lie, which is each engine's own affair."""
    kept, inside = [], False
    for line in text.splitlines():
        if line == '        "GraphDriver": {':
            inside = True
        if not inside:
            kept.append(line)
        if inside and line == "        },":
            inside = False
    return kept


def test_version_and_info_tell_of_a_server(clis: Clis) -> None:
    docker, lamina = (cli("version") for cli in clis)
    for heading in ("Client:", "Server:", " Engine:", "API version:"):
        assert heading in docker
        assert heading in lamina
    docker, lamina = (cli("info") for cli in clis)
    for line in ("Server:", " Containers: 0", " Images: 9", " OSType: linux"):
        assert line in docker.splitlines()
        assert line in lamina.splitlines()
    assert "ERROR" not in lamina
