"""What the docker client prints about networks and volumes, on dockerd and on Lamina."""

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from tests.compat.conftest import Clis
from tests.conformance.differences import modern_words
from tests.conformance.wire import assert_alike
from tests.real.docker_cli import DockerCli

pytestmark = pytest.mark.usefixtures("with_busybox")

IMAGE = "busybox:1"
_HEX = re.compile(r"\b([0-9a-f]{64}|[0-9a-f]{12})\b")
_AGE = re.compile(r"(Less than a|\d+) seconds? ago")
_SPACES = re.compile(" +")

NETWORKS: Sequence[tuple[str, ...]] = [
    ("ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}} {{.IPv6}} {{.Internal}} {{.Labels}}"),
    *(
        ("ls", "--format", "{{.Name}}", "--filter", filter)
        for filter in (
            *("driver=null", "driver=host", "driver=overlay", "name=ho", "name=^no", "name=t$"),
            *(
                "name=^host$",
                "name=^h.st|non+e$",
                "name=(",
                "id=zzz",
                "scope=local",
                "scope=swarm",
                "label=a",
                "type=builtin",
            ),
            *("type=custom", "type=x", "dangling=true", "dangling=false", "dangling=x", "x=y"),
        )
    ),
    ("inspect", "nothing"),
    ("inspect", "host", "none", "--format", "{{.Name}} {{.Driver}} {{len .Containers}}"),
    ("inspect", "host", "--format", "{{range .Containers}}{{.Name}}{{end}}"),
    ("rm", "host", "none", "nothing"),
    ("disconnect", "host", "aa"),
    ("connect", "nothing", "aa"),
    ("prune", "--force"),
]


def networks(cli: DockerCli, *words: str) -> tuple[object, ...]:
    answer = cli.run("network", *words)
    # The dockerd of these tests has none that leads out.
    names = [line for line in answer.text.splitlines() if not line.startswith("bridge")]
    return "\n".join(names), modern_words(answer.stderr), answer.status


def test_networks(clis: Clis) -> None:
    for cli in clis:
        cli("run", "-d", "--name", "aa", "--network=host", IMAGE, "sleep", "1000")
    for words in NETWORKS:
        docker, lamina = (networks(cli, *words) for cli in clis)
        if "type=x" in words:
            # 20.10 answers 500, with the same words.
            lamina, docker = lamina[1:], docker[1:]
        assert lamina == docker, words


def described(cli: DockerCli, *words: str) -> list[dict[str, Any]]:
    text = _HEX.sub("an ID", cli(*words))
    return [{**one, "Created": "", "CreatedAt": ""} for one in json.loads(text)]


def test_a_network_has_the_same_members_in_the_same_order(clis: Clis) -> None:
    for cli in clis:
        cli("run", "-d", "--name", "aa", "--network=host", IMAGE, "sleep", "1000")
        cli("run", "-d", "--name", "bb", "--network=container:aa", IMAGE, "sleep", "1000")
        [told] = json.loads(cli("network", "inspect", "host"))
        [inside] = told["Containers"].values()
        [known] = json.loads(cli("inspect", "aa"))
        assert inside["EndpointID"] == known["NetworkSettings"]["Networks"]["host"]["EndpointID"]
    docker, lamina = (described(cli, "network", "inspect", "host", "none") for cli in clis)
    assert_alike(lamina, docker)
    assert [list(network) for network in lamina] == [list(network) for network in docker]


def test_the_network_with_a_way_out(clis: Clis) -> None:
    lamina = clis[1]
    listed = lamina("network", "ls", "--format", "{{.Name}} {{.Driver}} {{.ID}}", "--no-trunc")
    assert [line.split()[:2] for line in listed.splitlines()] == [
        ["bridge", "bridge"],
        ["host", "host"],
        ["none", "null"],
    ]
    id = listed.split()[2]
    lamina("run", "-d", "--name", "aa", IMAGE, "sleep", "1000")
    [inside] = json.loads(lamina("network", "inspect", id[:9]))[0]["Containers"].values()
    address = lamina("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "aa").strip()
    assert (inside["Name"], inside["IPv4Address"].partition("/")[0]) == ("aa", address)
    refused = lamina.run("network", "create", "mine")
    assert refused.stderr.endswith("lamina does not implement networks yet\n")


VOLUMES: Sequence[tuple[str, ...]] = [
    ("volume", "ls"),
    ("volume", "ls", "--filter", "dangling=true"),
    ("volume", "ls", "--filter", "driver=nfs"),
    ("volume", "ls", "--filter", "name=zzz"),
    ("volume", "ls", "--filter", "label=a"),
    ("volume", "ls", "--filter", "x=y"),
    ("volume", "inspect", "nothing"),
    ("volume", "rm", "nothing"),
    ("volume", "prune", "--force"),
    ("system", "df"),
    ("system", "df", "-v"),
]


def test_volumes(clis: Clis) -> None:
    """Anonymous ones: named ones are not there yet."""
    found = []
    for cli in clis:
        write = "echo 12345 > /a/x; ln /a/x /a/y"
        cli("run", "--name", "aa", "--network=none", "-v", "/a", IMAGE, "sh", "-c", write)
        cli("create", "--name", "bb", "--network=none", "--volumes-from", "aa", "-v", "/b", IMAGE)
        told = []
        for words in VOLUMES:
            answer = cli.run(*words)
            text = _SPACES.sub(" ", _AGE.sub("now", _HEX.sub("an ID", answer.text)))
            lines = sorted(text.splitlines())
            told.append((" ".join(words), lines, modern_words(answer.stderr), answer.status))
        names = cli("volume", "ls", "--quiet").split()
        volumes = described(cli, "volume", "inspect", *names)
        told.append(("inspect", sorted(str({**one, "Mountpoint": ""}) for one in volumes), "", 0))
        [shared] = cli("inspect", "-f", "{{range .Mounts}}{{.Name}}{{end}}", "aa").split()
        removed = cli.run("volume", "rm", shared)
        told.append(("rm", [], _HEX.sub("an ID", removed.stderr), removed.status))
        found.append(told)
        cli("rm", "-fv", "aa", "bb")
        assert cli("volume", "ls", "--quiet") == ""
    docker, lamina = found
    assert_alike(lamina, docker)
