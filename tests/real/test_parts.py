"""The parts themselves, held against each other: were they wrong, every other test would be."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real import programs
from tests.real.archives import docker_archive, legacy_archive, oci_layout
from tests.real.certificates import Authority
from tests.real.docker_cli import DockerCli
from tests.real.dockerd import Dockerd
from tests.real.image_files import ImageFiles
from tests.real.images import busybox_image, small_image, tar_of
from tests.real.rawhttp import Connection
from tests.real.registry import registry
from tests.real.tools import skopeo_copy

Cli = Callable[[str], DockerCli]


def test_a_missing_program_names_its_package() -> None:
    with pytest.raises(programs.MissingProgramError, match="no-such-program is not installed"):
        programs.require("no-such-program")
    assert "apache2-utils" in str(programs.MissingProgramError("htpasswd"))


def test_dockerd_loads_docker_archives(dockerd: Dockerd, docker_cli: Cli) -> None:
    cli, image = docker_cli(dockerd.host), small_image("parts")
    for compression in ("", "gzip"):
        archive = tar_of(docker_archive((image, ["parts:1"]), compression=compression))
        assert "Loaded image: parts:1" in cli("load", stdin=archive)
        assert cli("image", "inspect", "--format", "{{.Id}}", "parts:1").strip() == image.id
        cli("rmi", "parts:1")


def test_dockerd_loads_legacy_archives(dockerd: Dockerd, docker_cli: Cli) -> None:
    cli, image = docker_cli(dockerd.host), small_image("legacy")
    cli("load", stdin=tar_of(legacy_archive((image, ["legacy:1"]))))
    layers = cli("image", "inspect", "--format", "{{json .RootFS.Layers}}", "legacy:1")
    assert all(diff_id in layers for diff_id in image.diff_ids)
    cli("rmi", "legacy:1")


def test_dockerd_runs_nothing_but_imports_busybox(
    dockerd: Dockerd, docker_cli: Cli, image_files: ImageFiles
) -> None:
    cli = docker_cli(dockerd.host)
    cli("import", str(image_files.busybox_rootfs), "parts/busybox:imported")
    layers = cli("image", "inspect", "--format", "{{.RootFS.Layers}}", "parts/busybox:imported")
    assert busybox_image().diff_ids[0] in layers
    cli("rmi", "parts/busybox:imported")


@pytest.mark.parametrize("compression", ["", "gzip", "zstd"])
def test_skopeo_reads_layouts(image_files: ImageFiles, tmp_path: Path, compression: str) -> None:
    name = compression or "plain"
    source = f"oci:{image_files.oci_directory(compression)}:{name}"
    skopeo_copy(source, f"dir:{tmp_path / 'out'}", "--dest-decompress")
    for diff_id in small_image("oci").diff_ids:
        assert (tmp_path / "out" / diff_id.removeprefix("sha256:")).exists()


def test_skopeo_reads_an_archive_that_is_both(tmp_path: Path) -> None:
    image = small_image("both")
    both = tmp_path / "both.tar"
    both.write_bytes(tar_of(oci_layout((image, ["both:1"]), manifest_json=True, compression="")))
    for source in (f"docker-archive:{both}:both:1", f"oci-archive:{both}:1"):
        skopeo_copy(source, f"dir:{tmp_path / source.partition(':')[0]}")


def test_skopeo_reads_a_layout_of_umoci(image_files: ImageFiles, tmp_path: Path) -> None:
    skopeo_copy(f"oci:{image_files.umoci_directory}:latest", f"dir:{tmp_path / 'out'}")


def test_skopeo_finds_each_platform(image_files: ImageFiles, tmp_path: Path) -> None:
    source = f"oci-archive:{image_files.multi_platform_archive}:1"
    target = tmp_path / "out"
    skopeo_copy(source, f"dir:{target}", "--override-arch", "arm64", "--override-variant", "v8")
    assert len(list(target.iterdir())) == 4  # manifest, version, config, one layer


def test_registry_asks_for_a_password_over_tls(authority: Authority, tmp_path: Path) -> None:
    image = tmp_path / "image.tar"
    image.write_bytes(tar_of(docker_archive((small_image("push"), ["push:1"]))))
    with registry(user="someone", password="secret", tls=authority) as server:
        options = ["--dest-cert-dir", str(tmp_path / "certs")]
        (tmp_path / "certs").mkdir()
        (tmp_path / "certs" / "ca.crt").write_bytes(authority.ca.read_bytes())
        destination = f"docker://{server.address}/push:1"
        with pytest.raises(programs.ProgramFailedError, match="unauthorized"):
            skopeo_copy(f"docker-archive:{image}", destination, *options)
        options += ["--dest-creds", "someone:secret"]
        skopeo_copy(f"docker-archive:{image}", destination, *options)


def test_registry_is_gone_at_the_end() -> None:
    with registry() as server:
        address = ("127.0.0.1", server.port)
        with Connection(address) as connection:
            assert connection.get("/v2/").status == 200
    assert not server.storage.exists()
    with pytest.raises(ConnectionRefusedError):
        Connection(address)
