"""Other tools pull what Lamina pushed, and Lamina what they did."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.wire import load
from tests.real.archives import docker_archive
from tests.real.docker_cli import DockerCli
from tests.real.dockerd import Dockerd
from tests.real.image_files import ImageFiles
from tests.real.images import another_busybox_rootfs, make_image, small_image, tar_of
from tests.real.lamina_daemon import LaminaDaemon
from tests.real.programs import run
from tests.real.registry import Registry
from tests.real.tools import skopeo_copy

pytestmark = pytest.mark.usefixtures("servers")

Cli = Callable[[str], DockerCli]


def test_dockerd_and_lamina_by_turns(
    dockerd: Dockerd, lamina_daemon: LaminaDaemon, docker_cli: Cli, registry: Registry
) -> None:
    # dockerd remembers in which forms it has pushed and pulled a layer before.
    image = make_image(another_busybox_rootfs("turns"))
    name = f"{registry.address}/tools/turns:1"
    docker, lamina = docker_cli(dockerd.host), docker_cli(lamina_daemon.host)
    load(lamina_daemon.socket, tar_of(docker_archive((image, [name]))))
    digests = set()
    for pusher, puller in ((lamina, docker), (docker, lamina), (lamina, docker)):
        pusher("push", name)
        if puller.run("image", "inspect", name).status == 0:
            puller("rmi", "--force", name)
        puller("pull", name)
        assert puller("image", "inspect", "--format", "{{.Id}}", name).strip() == image.id
        digests.add(puller("image", "inspect", "--format", "{{json .RepoDigests}}", name))
    assert len(digests) == 1
    output = docker("run", "--rm", "--network=none", name, "echo", "it runs")
    assert output == "it runs\n"


def test_podman_and_skopeo_pull(
    lamina_daemon: LaminaDaemon, docker_cli: Cli, registry: Registry, tmp_path: Path
) -> None:
    image = small_image("podman pulls")
    name = f"{registry.address}/tools/pushed:1"
    load(lamina_daemon.socket, tar_of(docker_archive((image, [name]))))
    docker_cli(lamina_daemon.host)("push", name)
    skopeo_copy(f"docker://{name}", f"oci:{tmp_path / 'oci'}:x", "--src-tls-verify=false")
    # It refuses a runroot of more than 50 characters, as pytest's are.
    with tempfile.TemporaryDirectory(prefix="lamina-") as short:
        podman = [
            *("podman", "--root", f"{short}/root", "--runroot", f"{short}/run"),
            *("--storage-driver", "vfs"),
        ]
        run([*podman, "pull", "--quiet", "--tls-verify=false", name])
        [inspected] = json.loads(run([*podman, "image", "inspect", name]))
    assert inspected["Id"] == image.id.removeprefix("sha256:")
    assert inspected["RootFS"]["Layers"] == list(image.diff_ids)


@pytest.mark.parametrize("kind", ["gzip", "zstd", ""], ids=lambda kind: kind or "plain")
def test_what_skopeo_pushed(
    lamina_daemon: LaminaDaemon,
    docker_cli: Cli,
    registry: Registry,
    image_files: ImageFiles,
    kind: str,
) -> None:
    """Pulled, and pushed to elsewhere as it was."""
    source = f"oci:{image_files.oci_directory(kind)}:{kind or 'plain'}"
    name = f"{registry.address}/tools/skopeo:{kind or 'plain'}"
    skopeo_copy(source, f"docker://{name}", "--dest-tls-verify=false", "--preserve-digests")
    lamina = docker_cli(lamina_daemon.host)
    lamina("pull", name)
    layers = json.loads(lamina("image", "inspect", "--format", "{{json .RootFS.Layers}}", name))
    assert layers == list(small_image("oci").diff_ids)
    elsewhere = f"{registry.address}/tools/elsewhere:{kind or 'plain'}"
    lamina("tag", name, elsewhere)
    lamina("push", elsewhere)
    inspect = ("skopeo", "--insecure-policy", "inspect", "--raw", "--tls-verify=false")
    assert run([*inspect, f"docker://{elsewhere}"]) == run([*inspect, f"docker://{name}"])


def test_what_podman_pushed(
    lamina_daemon: LaminaDaemon, docker_cli: Cli, registry: Registry
) -> None:
    image = small_image("podman pushes")
    name = f"{registry.address}/tools/podman:1"
    with tempfile.TemporaryDirectory(prefix="lamina-") as short:
        podman = [
            *("podman", "--root", f"{short}/root", "--runroot", f"{short}/run"),
            *("--storage-driver", "vfs"),
        ]
        run([*podman, "load", "--quiet"], stdin=tar_of(docker_archive((image, [name]))))
        run([*podman, "push", "--quiet", "--tls-verify=false", name])
    lamina = docker_cli(lamina_daemon.host)
    lamina("pull", name)
    layers = json.loads(lamina("image", "inspect", "--format", "{{json .RootFS.Layers}}", name))
    assert layers == list(image.diff_ids)
