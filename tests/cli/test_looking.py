"""Looking into images: `lamina ls`, `cat`, `diff` and `tree` on a data root."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import LaminaCli
from tests.real.archives import docker_archive
from tests.real.images import directory, file, layer, make_image, symlink, tar_of, whiteout

BASE = layer(
    directory("etc"),
    file("etc/motd", "hello"),
    file("etc/old", "0123456789"),
    symlink("etc/link", "/etc/motd"),
)
TOP = layer(file("etc/motd", "goodbye"), whiteout("etc/old"), file("new\x1b[31m\n", ""))


@pytest.fixture
def rooted(lamina: LaminaCli, tmp_path: Path) -> LaminaCli:
    cli = LaminaCli(lamina.home, {"LAMINA_ROOT": str(tmp_path / "root")})
    images = ((make_image(BASE), ["a:1"]), (make_image(BASE, TOP), ["a:2"]))
    cli("load", stdin=tar_of(docker_archive(*images)))
    return cli


def test_ls(rooted: LaminaCli) -> None:
    assert rooted("ls", "a:1") == "etc\n"
    assert rooted("ls", "a:1", "/etc") == "link\nmotd\nold\n"
    assert rooted("ls", "a:1", "etc/link") == "motd\n"
    assert rooted("ls", "-R", "a:2") == "etc\netc/link\netc/motd\nnew\\x1b[31m\\x0a\n"
    long = rooted("ls", "-l", "a:1", "etc").splitlines()
    assert long[0].startswith("l")
    assert long[0].endswith(" link -> /etc/motd")
    rows = [json.loads(line) for line in rooted("ls", "--format=json", "a:2", "etc").splitlines()]
    assert [row["Layer"] for row in rows] == [0, 1]


def test_cat(rooted: LaminaCli) -> None:
    assert rooted("cat", "a:1", "/etc/motd", "etc/old") == "hello0123456789"
    assert rooted("cat", "a:2", "/../etc/link") == "goodbye"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cat", "a:2", "/etc/old"), "Error: /etc/old: no such file or directory in the image\n"),
        (("cat", "a:2", "/etc"), "Error: /etc: is a directory\n"),
        (("ls", "b"), "Error: No such image: b:latest\n"),
    ],
)
def test_errors(rooted: LaminaCli, arguments: tuple[str, ...], message: str) -> None:
    answer = rooted.run(*arguments)
    assert (answer.status, answer.stderr) == (1, message)


def test_diff(rooted: LaminaCli) -> None:
    assert rooted("diff", "a:1", "a:2") == "C /etc/motd\nD /etc/old\nA /new\\x1b[31m\\x0a\n"
    back = [json.loads(line) for line in rooted("diff", "--format=json", "a:2", "a:1").splitlines()]
    assert [change["Kind"] for change in back] == ["C", "A", "D"]
    assert rooted("diff", "a:1", "a:1") == ""


def test_tree(rooted: LaminaCli) -> None:
    # A layer's size is dockerd's, in which links count by the length of their targets.
    rows = [json.loads(line) for line in rooted("tree", "--format=json", "a:2").splitlines()]
    assert [(row["Size"], row["Wasted"]) for row in rows] == [("24B", "15B"), ("7B", "0B")]
    assert rooted("tree", "a:2").endswith("31B in 2 layers, 15B of them wasted\n")


def test_an_engine_elsewhere_cannot_be_looked_into(lamina: LaminaCli) -> None:
    answer = lamina.run("ls", "-H", "unix:///nowhere", "a:1")
    assert answer.status == 2
    assert "--root" in answer.stderr
