"""Two engines with the same images, and every docker client of this machine."""

from collections.abc import Callable, Iterator

import pytest

from tests.compat.hub import Engines, engines_on_a_hub
from tests.real.docker_cli import DockerCli
from tests.real.dockerd import Dockerd
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


@pytest.fixture(scope="session")
def engines_on_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """Both engines, with a registry in the place of Docker Hub; for other people's tests."""
    with engines_on_a_hub(tmp_path_factory.mktemp("hub")) as engines:
        yield engines
