"""What the docker client prints while it changes images on dockerd and on Lamina."""

import io
import json
import re
import tarfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.compat.conftest import Clis
from tests.conformance.differences import modern_words
from tests.conformance.stock import (
    BASE,
    DANGLING,
    LABELLED,
    MIDDLE,
    PARENT,
    PLAIN,
    family_archive,
)
from tests.conformance.wire import assert_alike
from tests.given import gives, stories
from tests.real.archives import docker_archive
from tests.real.docker_cli import DockerCli
from tests.real.images import sha256, tar_of

pytestmark = pytest.mark.usefixtures("servers")

Step = tuple[str, ...]

ARCHIVES: Mapping[str, bytes] = {
    "plain": tar_of(docker_archive((PLAIN, ["a:1", "a:2", "b:1"]))),
    "other": tar_of(docker_archive((LABELLED, ["a:1"]))),
    "nameless": tar_of(docker_archive((DANGLING, []))),
    "mixed": tar_of(docker_archive((PLAIN, ["a:1"]), (LABELLED, ["b:1"]), (DANGLING, []))),
    "family": family_archive(),
    "parent": tar_of(docker_archive((PARENT, ["p:1"]))),
    "middle": tar_of(docker_archive((MIDDLE, []))),
    "broken": tar_of(docker_archive((PLAIN, ["a:1"])))[:2000],
    "rootfs": BASE,
}
"""What a step reads from its standard input: the word after `<`."""

STORIES: dict[str, Sequence[Step]] = {
    "load": [("load", "<plain"), ("images",), ("load", "<other"), ("images",)],
    "load quietly": [("load", "-q", "<plain"), ("load", "-q", "<nameless")],
    "load several": [("image", "load", "<mixed"), ("images", "-a")],
    "load without a name": [("load", "<nameless"), ("images",)],
    "load a broken archive": [("image", "ls", "-q"), ("images",)],
    "tag": [
        ("load", "-q", "<plain"),
        ("tag", "a:1", "c"),
        ("tag", PLAIN.id, "registry.example:5000/d/e:1"),
        ("image", "tag", "c:latest", "c:2"),
        ("images", "--format", "{{.Repository}}:{{.Tag}}"),
    ],
    "remove": [
        ("load", "-q", "<plain"),
        ("rmi", "a:1"),
        ("rmi", "a:1"),
        ("rmi", PLAIN.id),
        ("rmi", "a:2", "b:1"),
        ("images",),
    ],
    "remove with force": [("load", "-q", "<plain"), ("rmi", "-f", PLAIN.id), ("images", "-a")],
    "remove several": [
        ("load", "-q", "<mixed"),
        ("image", "rm", "a:1", "none:1", DANGLING.id[7:19]),
        ("images",),
    ],
    "remove a family": [
        ("load", "-q", "<family"),
        ("rmi", PARENT.id),
        ("rmi", "-f", PARENT.id),
        ("rmi", "--no-prune", "child:1"),
        ("images", "-a"),
        ("image", "prune", "-f"),
        ("images", "-a"),
    ],
    "prune": [
        ("load", "-q", "<mixed"),
        ("image", "prune", "-f"),
        ("image", "prune", "-f"),
        ("images",),
    ],
    "prune all": [("load", "-q", "<plain"), ("image", "prune", "-a", "-f"), ("images",)],
    "prune what stands on others": [
        ("load", "-q", "<parent"),
        ("load", "-q", "<middle"),
        ("image", "prune", "-f"),
        ("images",),
    ],
    "prune by filter": [
        ("load", "-q", "<mixed"),
        ("image", "prune", "-a", "-f", "--filter", "label=colour=blue"),
        ("image", "prune", "-a", "-f", "--filter", "label!=colour"),
        ("image", "prune", "-a", "-f", "--filter", "until=2020-01-01"),
        ("image", "prune", "-a", "-f", "--filter", "until=24h"),
        ("images",),
    ],
    "import": [
        ("import", "-", "i:1", "<rootfs"),
        ("image", "import", "-m", "why", "-c", "CMD x y", "-c", "ENV A=1", "-", "i:2", "<rootfs"),
        ("history", "--format", "{{.Size}} {{.Comment}} {{.CreatedBy}}", "i:2"),
        ("image", "inspect", "-f", "{{json .Config}}{{.Comment}}{{.RootFS.Layers}}", "i:2"),
        ("image", "inspect", "-f", "{{json .Config}}{{.Architecture}}", "i:1"),
        ("import", "-c", "RUN x", "-", "i:3", "<rootfs"),
        ("import", "-", "Bad", "<rootfs"),
        ("images", "--format", "{{.Repository}}:{{.Tag}} {{.Size}}", "--filter", "reference=i:1"),
    ],
    "import for a platform": [
        ("import", "--platform", "linux", "-", "i:1", "<rootfs"),
        ("image", "inspect", "-f", "{{.Os}}/{{.Architecture}}", "i:1"),
        ("import", "--platform", "nonsense/none/x/y", "-", "i:2", "<rootfs"),
        ("import", "--platform", "a b", "-", "i:2", "<rootfs"),
        ("images", "--format", "{{.Repository}}:{{.Tag}}"),
    ],
    "import without a name": [("import", "-", "<rootfs"), ("images", "--format", "{{.Size}}")],
    "prune everything": [
        ("load", "-q", "<mixed"),
        ("system", "prune", "-f"),
        ("system", "prune", "-f", "--filter", "label=colour=blue", "-a"),
        ("system", "prune", "-f", "--filter", "until=24h", "-a"),
        ("system", "prune", "-f", "--filter", "nonsense=1"),
        ("system", "prune", "-f", "--filter", "until=banana"),
        ("system", "prune", "-f", "--volumes"),
        ("system", "prune", "-af"),
        ("images", "-a"),
    ],
    "disk usage": [
        ("load", "-q", "<mixed"),
        ("load", "-q", "<family"),
        ("system", "df"),
        ("system", "df", "-v"),
    ],
}

GIVES = {
    "load quietly": [gives("image_load", "quiet", "images_tarball")],
    "tag": [gives("image_tag", "name", "repo", "tag")],
    "remove": [gives("image_delete", "name")],
    "remove with force": [gives("image_delete", "force"), gives("image_list", "all")],
    "remove a family": [gives("image_delete", "noprune")],
    "prune by filter": [gives("image_prune", "filters")],
    "import": [
        gives("image_create", "from_src", "repo", "message", "changes", "input_image"),
        gives("image_history", "name"),
        gives("image_inspect", "name"),
        gives("image_list", "filters"),
    ],
    "import for a platform": [gives("image_create", "platform")],
}

_NEW_IMAGE = re.compile(r"sha256:[0-9a-f]{64}")
_KNOWN = {image.id for image in (PLAIN, LABELLED, DANGLING, PARENT, MIDDLE)}


def run(cli: DockerCli, steps: Sequence[Step]) -> list[tuple[str, str, str, int]]:
    """What a client prints, step by step; imported images have IDs of their own."""
    told = []
    for step in steps:
        words = [word for word in step if not word.startswith("<")]
        stdin = ARCHIVES[step[-1][1:]] if len(words) < len(step) else None
        answer = cli.run(*words, stdin=stdin)
        text = answer.text
        if "import" in words:
            text = _NEW_IMAGE.sub("an image", text)
        if {"prune", "images", "ls", "df"} & set(words):
            # Several repositories, and what a prune deletes, come in the order of a Go map.
            text = "\n".join(sorted(text.splitlines()))
        told.append((" ".join(words), text, modern_words(answer.stderr), answer.status))
    return told


@pytest.mark.parametrize("steps", stories(STORIES, GIVES))
def test_same_story(clis: Clis, steps: Sequence[Step]) -> None:
    docker, lamina = (run(cli, steps) for cli in clis)
    assert_alike(lamina, docker)


@gives("image_get_all", "names")
@gives("image_load", "images_tarball")
def test_load_and_save_files(clis: Clis, tmp_path: Path) -> None:
    source = tmp_path / "in.tar"
    source.write_bytes(ARCHIVES["mixed"])
    found = []
    for cli in clis:
        target = tmp_path / "out.tar"
        loaded = cli("load", "--input", str(source))
        assert cli("save", "--output", str(target), "a:1", "b:1", DANGLING.id) == ""
        cli("rmi", "-f", PLAIN.id, LABELLED.id, DANGLING.id)
        # dockerd saves in the order of a Go map, and so the words of this load differ.
        assert "Loaded image" in cli("load", "--input", str(target))
        found.append((loaded, cli("images", "-a", "--no-trunc")))
    docker, lamina = found
    assert lamina == docker


def test_save_to_a_pipe(clis: Clis) -> None:
    found = []
    for cli in clis:
        cli("load", "-q", stdin=ARCHIVES["plain"])
        answer = cli.run("save", "a", "b:1")
        assert (answer.status, answer.stderr) == (0, "")
        with tarfile.open(fileobj=io.BytesIO(answer.stdout)) as tar:
            files = {m.name: f.read() for m in tar if (f := _content(tar, m)) is not None}
        [entry] = json.loads(files["manifest.json"])
        layers = [sha256(files[path]) for path in entry["Layers"]]
        found.append((entry["RepoTags"], sha256(files[entry["Config"]]), layers))
    docker, lamina = found
    assert lamina == docker
    assert lamina == (["a:1", "a:2", "b:1"], PLAIN.id, list(PLAIN.diff_ids))


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> io.BufferedReader | None:
    reader = tar.extractfile(member)
    assert reader is None or isinstance(reader, io.BufferedReader)
    return reader


def test_a_broken_archive_is_an_error(clis: Clis) -> None:
    docker, lamina = (cli.run("load", stdin=ARCHIVES["broken"]) for cli in clis)
    assert (lamina.status, lamina.text) == (docker.status, docker.text) == (1, "")
    # The words are each engine's: dockerd's hold paths of its own.
    assert lamina.stderr
    for cli in clis:
        assert cli("images", "-aq") == ""


def test_events(clis: Clis) -> None:
    found = []
    for cli in clis:
        since = f"{time.time():.9f}"
        run(cli, [*STORIES["tag"], *STORIES["remove with force"], *STORIES["prune all"]])
        until = f"{time.time():.9f}"
        asked = ["events", "--since", since, "--until", until, "--format"]
        found.append(
            [
                cli(*asked, "{{.Type}} {{.Action}} {{.ID}} {{json .Actor.Attributes}}"),
                cli(*asked, "{{.Status}}", "--filter", "event=tag", "--filter", "type=image"),
                cli(*asked, "{{.ID}}", "--filter", "image=c"),
            ]
        )
    docker, lamina = found
    assert lamina == docker
    assert lamina[0].count("\n") > 8
