"""Every parameter of the image operations that the command line can give to an engine."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lamina.oci.platform import host
from tests.cli.conftest import LaminaCli
from tests.given import gives
from tests.real.archives import docker_archive
from tests.real.docker_cli import DockerCli
from tests.real.image_files import ImageFiles
from tests.real.images import busybox_rootfs, small_image, tar_of, write_tree
from tests.real.registry import Registry
from tests.real.web import web_server


@pytest.fixture
def cli(watched: str, lamina: LaminaCli) -> LaminaCli:
    """Our command on a daemon."""
    return LaminaCli(lamina.home, {"DOCKER_HOST": watched})


@pytest.fixture
def with_busybox(cli: LaminaCli, image_files: ImageFiles) -> None:
    cli("load", "--quiet", "--input", str(image_files.busybox_archive))


def archive(seed: str, *names: str) -> bytes:
    return tar_of(docker_archive((small_image(seed), list(names))))


@gives(
    "image_build",
    *("dockerfile", "t", "extrahosts", "q", "nocache", "cachefrom", "pull", "rm", "forcerm"),
    *("memory", "memswap", "cpushares", "cpusetcpus", "cpuperiod", "cpuquota", "buildargs"),
    *("shmsize", "squash", "labels", "networkmode", "content_type", "platform", "target"),
    "input_stream",
)
@gives("image_get", "name")
@pytest.mark.usefixtures("with_busybox")
def test_builds(cli: LaminaCli, registry: Registry, tmp_path: Path) -> None:
    base = f"{registry.address}/cli-parameters/base:1"
    cli("tag", "busybox", base)
    cli("push", "--quiet", base)
    text = f"FROM {base} AS one\nARG A\nRUN echo =$A= && cat /etc/hosts\nRUN touch /b\nFROM one\n"
    directory = write_tree({"D": text.encode(), "f": b"f"}, tmp_path / "context")
    limits = (
        *("--memory", "64m", "--memory-swap", "-1", "--shm-size", "1m", "--cpu-shares", "512"),
        *("--cpu-period", "50000", "--cpu-quota", "25000", "--cpuset-cpus", "0-0"),
        *("--network", "none", "--add-host", "a.b:1.2.3.4", "--cache-from", "busybox"),
    )
    options = ("-f", str(directory / "D"), "--target", "one", "--build-arg", "A=x", "--no-cache")
    printed = cli("build", *options, *limits, "--no-rm", "--force-rm", str(directory))
    assert "=x=" in printed
    assert "1.2.3.4\ta.b" in printed
    more = ("--pull", "--squash", "--label", "a=b", "--platform", str(host()), "-t", "p:1")
    out = ("-o", "type=image,name=p:2", "-o", str(tmp_path / "out"))
    image = cli("build", "-q", *options, *more, *out, str(directory)).strip()
    assert (tmp_path / "out" / "b").exists()
    shown = cli("inspect", "--format", "{{.Id}} {{json .Config.Labels}}", "p:1", "p:2")
    assert shown == f'{image} {{"a":"b"}}\n' * 2
    cli("rmi", "--force", image, base)


@gives("image_build", "remote")
@pytest.mark.usefixtures("with_busybox")
def test_builds_of_what_is_fetched(cli: LaminaCli, tmp_path: Path) -> None:
    with web_server(write_tree({"D": b"FROM busybox\nENV A=b\n"}, tmp_path / "web")) as url:
        assert "Successfully built" in cli.run("build", f"{url}/D").text


@gives("image_build", "x_registry_config")
@gives("image_create", "from_image", "platform", "x_registry_auth")
@gives("image_push", "name", "tag", "x_registry_auth")
@gives("image_search", "term", "limit", "filters")
def test_registries(cli: LaminaCli, guarded: Registry) -> None:
    name = f"{guarded.address}/cli-parameters/image"
    cli("load", "--quiet", stdin=archive("parameters of registries", f"{name}:1", f"{name}:2"))
    refused = cli.run("push", f"{name}:1")
    assert refused.status == 1
    login = ("login", "--username", "me", "--password-stdin", guarded.address)
    assert "Login Succeeded" in cli.run(*login, stdin=b"secret").text
    cli("push", f"{name}:1")
    cli("push", "--quiet", "--all-tags", name)
    assert cli("search", "--limit", "3", "--filter", "stars=0", "--format", "{{.Name}}", name)
    cli("rmi", f"{name}:1", f"{name}:2")
    cli("build", "-q", "-", stdin=f"FROM {name}:1\nENV a=b\n".encode())
    assert cli("pull", "--quiet", "--platform", "linux/amd64", f"{name}:2") == f"{name}:2\n"
    cli("pull", "--quiet", "--all-tags", name)
    cli("rmi", f"{name}:1", f"{name}:2")


@gives("build_prune", "keep_storage", "all", "filters")
def test_pruning_of_builds(cli: LaminaCli) -> None:
    options = ("--force", "--all", "--keep-storage", "1GB", "--filter", "until=1h")
    assert cli("builder", "prune", *options) == "Total reclaimed space: 0B\n"


@gives("image_create", "from_src", "repo", "message", "changes", "platform", "input_image")
def test_imports(cli: LaminaCli, tmp_path: Path) -> None:
    options = ("--message", "why", "--change", "CMD x", "--platform", "linux/arm64")
    cli("import", *options, "-", "parameters:1", stdin=busybox_rootfs())
    with web_server(write_tree({"r.tar": busybox_rootfs()}, tmp_path / "web")) as url:
        cli.run("import", f"{url}/r.tar", "parameters:2")
    shown = "{{.Comment}} {{.Architecture}}"
    assert cli("inspect", "--format", shown, "parameters:1") == "why arm64\n"
    cli("rmi", "parameters:1", "parameters:2")


@gives("image_load", "quiet", "images_tarball")
@gives("image_list", "all", "filters", "digests")
@gives("image_inspect", "name")
@gives("image_history", "name")
@gives("image_tag", "name", "repo", "tag")
@gives("image_get", "name")
@gives("image_get_all", "names")
@gives("image_delete", "name", "force", "noprune")
@gives("image_prune", "filters")
def test_images(cli: LaminaCli, tmp_path: Path) -> None:
    cli("load", "--quiet", stdin=archive("parameters", "parameters:1", "parameters:2"))
    image = small_image("parameters").id
    listed = cli("images", "--all", "--digests", "--no-trunc", "--filter", "reference=parameters")
    assert listed.count(image) == 2
    assert cli("inspect", "--format", "{{.Id}}", "parameters:1").strip() == image
    assert cli("history", "--quiet", "--no-trunc", "parameters:1").startswith(image)
    cli("tag", "parameters:1", "parameters:3")
    cli("save", "--output", str(tmp_path / "one.tar"), "parameters:1")
    cli("save", "--output", str(tmp_path / "all.tar"), "parameters:1", "parameters:3")
    assert cli("rmi", "--no-prune", "parameters:3") == "Untagged: parameters:3\n"
    assert "Deleted: " in cli("rmi", "--force", image)
    cli("load", "--quiet", "--input", str(tmp_path / "all.tar"))
    pruned = cli("prune", "--force", "--all", "--filter", "label=seed=parameters")
    assert "untagged: parameters:3" in pruned


@gives("image_commit", "container", "repo", "comment", "author", "pause", "changes")
@pytest.mark.usefixtures("with_busybox")
def test_commit(cli: LaminaCli, watched: str, docker_cli: Callable[[str], DockerCli]) -> None:
    docker = docker_cli(watched)
    docker("run", "-d", "--network=none", "--name", "parameters", "busybox", "sleep", "1000")
    options = ("--message", "why", "--author", "who", "--change", "CMD x", "--no-pause")
    cli("commit", *options, "parameters", "parameters:1")
    docker("rm", "-f", "parameters")
    shown = "{{.Comment}} {{.Author}} {{json .Config.Cmd}}"
    assert cli("inspect", "--format", shown, "parameters:1").startswith("why who [")
    cli("rmi", "parameters:1")
