"""Two engines with the same images, and every docker client of this machine."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.compat.hub import Engines, engines_on_a_hub
from tests.conformance.stock import stock_archives
from tests.conformance.wire import empty, load
from tests.real.archives import docker_archive
from tests.real.docker_cli import DockerCli
from tests.real.dockerd import Dockerd
from tests.real.images import busybox_image, tar_of
from tests.real.lamina_daemon import LaminaDaemon
from tests.real.programs import all_of

Clis = tuple[DockerCli, DockerCli]


@pytest.fixture(params=all_of("docker"), ids=str)
def program(request: pytest.FixtureRequest) -> str:
    """Each docker client that is installed: Debian's, and a newer one where there is one."""
    return str(request.param)


@pytest.fixture
def clis(
    program: str, dockerd: Dockerd, watched: str, docker_cli: Callable[[str], DockerCli]
) -> Clis:
    """The same client for dockerd and for Lamina."""
    docker, lamina = docker_cli(dockerd.host), docker_cli(watched)
    return (
        DockerCli(docker.host, docker.config, program),
        DockerCli(lamina.host, lamina.config, program),
    )


@pytest.fixture
def emptied(dockerd: Dockerd, lamina_daemon: LaminaDaemon) -> Iterator[tuple[Path, Path]]:
    """Both engines without images, before and after."""
    sockets = dockerd.socket, lamina_daemon.socket
    for socket in sockets:
        empty(socket)
    yield sockets
    for socket in sockets:
        empty(socket)


@pytest.fixture
def with_busybox(emptied: tuple[Path, Path]) -> tuple[Path, Path]:
    """Both engines with nothing but ``busybox:1``, for containers."""
    archive = tar_of(docker_archive((busybox_image(), ["busybox:1"])))
    for socket in emptied:
        load(socket, archive)
    return emptied


@pytest.fixture(scope="module")
def stocked(dockerd: Dockerd, lamina_daemon: LaminaDaemon) -> Iterator[tuple[Path, Path]]:
    """Both engines with the stock of images, for a module that only reads."""
    sockets = dockerd.socket, lamina_daemon.socket
    for socket in sockets:
        empty(socket)
        for archive in stock_archives():
            load(socket, archive)
    yield sockets
    for socket in sockets:
        empty(socket)


@pytest.fixture(scope="session")
def engines_on_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """Both engines, with a registry in the place of Docker Hub; for other people's tests."""
    with engines_on_a_hub(tmp_path_factory.mktemp("hub")) as engines:
        yield engines
