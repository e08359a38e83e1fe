"""A registry in the place of Docker Hub, and engines that have it as their mirror."""

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.real.archives import multi_platform_layout
from tests.real.dockerd import dockerd
from tests.real.images import Image, busybox_rootfs, make_image, write_tree
from tests.real.lamina_daemon import lamina_daemon
from tests.real.registry import registry
from tests.real.tools import skopeo_copy

NAMES = (
    "alpine:3.10",
    "alpine:latest",
    "busybox:latest",
    "hello-world:latest",
    "python:3.13-alpine",
    "python:3.14-alpine",
)
"""Images of the Hub that other people's tests pull: here each is a busybox, for two platforms."""


@dataclass(frozen=True)
class Engines:
    """A dockerd and a Lamina without images, by their DOCKER_HOST."""

    dockerd: str
    lamina: str


@contextmanager
def engines_on_a_hub(directory: Path) -> Iterator[Engines]:
    """Both engines, and the mirror they pull `NAMES` from; `directory` takes the images' files."""
    with registry() as hub:
        mirror = f"http://127.0.0.1:{hub.port}"
        for number, name in enumerate(NAMES):
            files = multi_platform_layout(
                [_image(name, "amd64"), _image(name, "arm64", "v8")], name, docker=True
            )
            skopeo_copy(
                f"oci:{write_tree(files, directory / str(number))}",
                f"docker://{hub.address}/library/{name}",
                *("--all", "--preserve-digests", "--dest-tls-verify=false"),
            )
        config = directory / "lamina.toml"
        config.write_text(f'registry-mirrors = ["{mirror}"]\nexperimental = true\n')
        with (
            dockerd(options=["--experimental", "--registry-mirror", mirror]) as docker,
            lamina_daemon(options=["--config", str(config)]) as lamina,
        ):
            yield Engines(docker.host, lamina.host)


def _image(name: str, architecture: str, variant: str = "") -> Image:
    # One layer, as the Hub's own busybox has.
    own = io.BytesIO(busybox_rootfs())
    with tarfile.open(fileobj=own, mode="a") as tar:
        tar.addfile(tarfile.TarInfo(f"etc/{name.replace('/', '-')}-{architecture}"))
    return make_image(own.getvalue(), architecture=architecture, variant=variant)
