"""Archives of Lamina in other tools' hands, and theirs in Lamina's."""

import json
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.stock import HISTORY_COMMENT, LABELLED, PLAIN, stock_archives
from tests.conformance.wire import Ask, load, send
from tests.real.archives import docker_archive
from tests.real.docker_cli import DockerCli
from tests.real.dockerd import Dockerd
from tests.real.image_files import ImageFiles
from tests.real.images import Image, busybox_image, sha256, small_image, tar_of
from tests.real.lamina_daemon import LaminaDaemon
from tests.real.programs import require, run
from tests.real.tools import skopeo_copy
from tests.unit.layers.trees import needs_root

pytestmark = pytest.mark.usefixtures("servers")

Cli = Callable[[str], DockerCli]


def archive(*images: tuple[Image, list[str]]) -> bytes:
    return tar_of(docker_archive(*images))


def saved(socket: Path, *names: str) -> bytes:
    heard = send(socket, Ask("GET", "/images/get?" + "&".join(f"names={n}" for n in names)))
    assert heard.status == 200, heard.body
    return heard.body


def described(socket: Path, name: str) -> dict[str, object]:
    """What must be the same of an image wherever it went."""
    inspected = send(socket, Ask("GET", f"/images/{name}/json")).json()
    return {
        key: inspected[key] for key in ("Id", "Config", "Created", "RootFS", "Size", "RepoTags")
    }


def layers_below(directory: Path) -> set[str]:
    """Digests of the layers, uncompressed, of skopeo's `dir:` form."""
    manifest = json.loads((directory / "manifest.json").read_bytes())
    return {layer["digest"] for layer in manifest["layers"]}


SAMPLES = {
    "plain": (PLAIN, ["sample:1"]),
    "labelled": (LABELLED, ["sample:1", "registry.example:5000/other/sample:2"]),
    "equal layers": (HISTORY_COMMENT, ["sample:1"]),
    "busybox": (busybox_image(), ["sample:1"]),
}


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=list(SAMPLES))
def test_to_dockerd_and_back(
    dockerd: Dockerd, lamina_daemon: LaminaDaemon, sample: tuple[Image, list[str]]
) -> None:
    load(lamina_daemon.socket, archive(sample))
    load(dockerd.socket, saved(lamina_daemon.socket, *sample[1]))
    assert described(dockerd.socket, "sample:1") == described(lamina_daemon.socket, "sample:1")
    there = saved(dockerd.socket, *sample[1])
    send(lamina_daemon.socket, Ask("DELETE", f"/images/{sample[0].id}?force=1"))
    load(lamina_daemon.socket, there)
    assert described(lamina_daemon.socket, "sample:1") == described(dockerd.socket, "sample:1")


def test_everything_to_dockerd_at_once(dockerd: Dockerd, lamina_daemon: LaminaDaemon) -> None:
    names = []
    for one in stock_archives():
        load(lamina_daemon.socket, one)
    for image in send(lamina_daemon.socket, Ask("GET", "/images/json")).json():
        tags = [tag for tag in image["RepoTags"] if tag != "<none>:<none>"]
        names += tags or [image["Id"]]
    load(dockerd.socket, saved(lamina_daemon.socket, *names))
    for name in names:
        expected = described(lamina_daemon.socket, name)
        assert {**described(dockerd.socket, name)} == expected


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=list(SAMPLES))
def test_skopeo_reads_a_saved_archive_in_both_forms(
    lamina_daemon: LaminaDaemon, tmp_path: Path, sample: tuple[Image, list[str]]
) -> None:
    image, names = sample
    load(lamina_daemon.socket, archive(sample))
    path = tmp_path / "saved.tar"
    path.write_bytes(saved(lamina_daemon.socket, *names))
    for source in (f"docker-archive:{path}:{names[0]}", f"oci-archive:{path}:1"):
        kind = source.partition(":")[0]
        target = tmp_path / kind
        skopeo_copy(source, f"dir:{target}", "--dest-decompress")
        assert layers_below(target) == set(image.diff_ids)
        config = json.loads((target / "manifest.json").read_bytes())["config"]["digest"]
        assert (target / config.removeprefix("sha256:")).read_bytes() == image.config


@pytest.fixture
def podman() -> Iterator[list[str]]:
    """The start of a command line for podman with images of its own."""
    # It refuses a runroot of more than 50 characters, as pytest's are.
    with tempfile.TemporaryDirectory(prefix="lamina-") as short:
        yield [
            *("podman", "--root", f"{short}/root", "--runroot", f"{short}/run"),
            *("--storage-driver", "vfs"),
        ]


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=list(SAMPLES))
def test_podman_loads_a_saved_archive(
    lamina_daemon: LaminaDaemon, podman: list[str], sample: tuple[Image, list[str]]
) -> None:
    image, names = sample
    load(lamina_daemon.socket, archive(sample))
    said = run([*podman, "load", "--quiet"], stdin=saved(lamina_daemon.socket, *names))
    for name in names:
        assert name.rpartition("/")[2] in said
    [inspected] = json.loads(run([*podman, "image", "inspect", names[0]]))
    assert inspected["Id"] == image.id.removeprefix("sha256:")
    assert inspected["RootFS"]["Layers"] == list(image.diff_ids)


def test_umoci_unpacks_a_saved_layout(lamina_daemon: LaminaDaemon, tmp_path: Path) -> None:
    image = small_image("umoci")
    load(lamina_daemon.socket, archive((image, ["umoci:1"])))
    layout = tmp_path / "layout"
    layout.mkdir()
    run(
        ["tar", "--extract", "--directory", str(layout)],
        stdin=saved(lamina_daemon.socket, "umoci:1"),
    )
    assert run(["umoci", "ls", "--layout", str(layout)]).split() == ["1"]
    run(["umoci", "stat", "--image", f"{layout}:1"])
    bundle = tmp_path / "bundle"
    run(["umoci", "unpack", "--image", f"{layout}:1", str(bundle)])
    rootfs = bundle / "rootfs"
    assert (rootfs / "etc/hostname").read_text() == "umoci"
    assert (rootfs / "etc/last").read_text() == "umoci"
    assert not (rootfs / "etc/removed").exists()


def test_skopeo_copies_out_of_the_daemon(lamina_daemon: LaminaDaemon, tmp_path: Path) -> None:
    image = small_image("out")
    load(lamina_daemon.socket, archive((image, ["out:1"])))
    target = tmp_path / "out"
    skopeo_copy(
        "docker-daemon:out:1",
        f"dir:{target}",
        *("--src-daemon-host", lamina_daemon.host, "--dest-decompress"),
    )
    assert layers_below(target) == set(image.diff_ids)


def test_skopeo_copies_into_the_daemon(
    lamina_daemon: LaminaDaemon, image_files: ImageFiles
) -> None:
    # Not zstd: skopeo itself refuses to make it a layer of Docker's.
    for compression in ("gzip", ""):
        kind = compression or "plain"
        skopeo_copy(
            f"oci:{image_files.oci_directory(compression)}:{kind}",
            f"docker-daemon:into:{kind}",
            *("--dest-daemon-host", lamina_daemon.host),
        )
        told = described(lamina_daemon.socket, f"into:{kind}")
        assert told["RootFS"] == {"Type": "layers", "Layers": list(small_image("oci").diff_ids)}


def test_skopeo_from_engine_to_engine(dockerd: Dockerd, lamina_daemon: LaminaDaemon) -> None:
    image = small_image("between")
    load(dockerd.socket, archive((image, ["between:1"])))
    hosts = ["--src-daemon-host", dockerd.host, "--dest-daemon-host", lamina_daemon.host]
    skopeo_copy("docker-daemon:between:1", "docker-daemon:between:1", *hosts)
    assert described(lamina_daemon.socket, "between:1") == described(dockerd.socket, "between:1")


def test_podman_save_loads_here(
    lamina_daemon: LaminaDaemon, podman: list[str], tmp_path: Path
) -> None:
    image = small_image("podman")
    run([*podman, "load", "--quiet"], stdin=archive((image, ["podman:1"])))
    for form in ("docker-archive", "oci-archive"):
        target = tmp_path / f"{form}.tar"
        run([*podman, "save", "--format", form, "--output", str(target), "localhost/podman:1"])
        heard = load(lamina_daemon.socket, target.read_bytes())
        assert "Loaded image" in heard.body.decode()
        [listed] = send(lamina_daemon.socket, Ask("GET", "/images/json")).json()
        told = described(lamina_daemon.socket, listed["Id"])
        assert told["RootFS"] == {"Type": "layers", "Layers": list(image.diff_ids)}
        send(lamina_daemon.socket, Ask("DELETE", f"/images/{listed['Id']}?force=1"))


@needs_root
def test_podman_copies_out_of_the_daemon_and_into_it(
    lamina_daemon: LaminaDaemon, podman: list[str]
) -> None:
    image = small_image("podman's daemon")
    load(lamina_daemon.socket, archive((image, ["out:1"])))
    # It knows one place where a docker-daemon listens, whatever DOCKER_HOST says: podman is given
    # a /run of its own, with the socket there.
    script = 'mount -t tmpfs tmpfs /run && ln -s "$0" /run/docker.sock && exec "$@"'
    there = ["unshare", "--mount", "sh", "-c", script, str(lamina_daemon.socket), *podman]
    pulled = run([*there, "pull", "--quiet", "docker-daemon:out:1"]).strip()
    assert f"sha256:{pulled}" == image.id
    run([*there, "push", "--quiet", pulled, "docker-daemon:into:1"])
    [into, out] = (described(lamina_daemon.socket, name) for name in ("into:1", "out:1"))
    assert into == out
    assert into["RepoTags"] == ["into:1", "out:1"]


def test_a_layout_that_umoci_made(
    lamina_daemon: LaminaDaemon, image_files: ImageFiles, tmp_path: Path
) -> None:
    target = tmp_path / "layout.tar"
    with tarfile.open(target, "w") as tar:
        tar.add(image_files.umoci_directory, arcname=".")
    load(lamina_daemon.socket, target.read_bytes())
    [listed] = send(lamina_daemon.socket, Ask("GET", "/images/json")).json()
    told = described(lamina_daemon.socket, listed["Id"])
    assert told["RootFS"] == {"Type": "layers", "Layers": list(busybox_image().diff_ids)}


def test_a_pipe_from_client_to_client(
    dockerd: Dockerd, lamina_daemon: LaminaDaemon, docker_cli: Cli
) -> None:
    source, target = docker_cli(dockerd.host), docker_cli(lamina_daemon.host)
    image = small_image("pipe")
    load(dockerd.socket, archive((image, ["pipe:1"])))
    with subprocess.Popen(
        [require("docker"), "save", "pipe:1"],
        stdout=subprocess.PIPE,
        env=source.environment(),
    ) as saving:
        done = subprocess.run(
            [require("docker"), "load"],
            stdin=saving.stdout,
            capture_output=True,
            check=True,
            env=target.environment(),
        )
    assert done.stdout == b"Loaded image: pipe:1\n"
    assert sha256(image.config) == image.id
    assert described(lamina_daemon.socket, "pipe:1")["Id"] == image.id
