"""Fixtures that hand tests the real parts; each is started once a session, on first use."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.conformance.stock import stock_archives
from tests.conformance.wire import empty, load
from tests.given import assert_given
from tests.real.archives import docker_archive
from tests.real.certificates import Authority, make_authority
from tests.real.docker_cli import DockerCli
from tests.real.dockerd import Dockerd, dockerd as running_dockerd
from tests.real.image_files import ImageFiles
from tests.real.images import busybox_image, tar_of
from tests.real.lamina_daemon import LaminaDaemon, lamina_daemon as running_lamina
from tests.real.registry import Registry, registry as running_registry
from tests.real.relay import relay

# Its assertions are explained as those of tests are.
pytest.register_assert_rewrite("tests.real.remains")

# How long an example takes, or its making, says more of the machine than of what is tested. Nothing
# is kept of a run: another user's tests may not be able to write it.
settings.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
    print_blob=True,
)
settings.load_profile("any machine")

# A shell starts what runs in its background deaf to it, and so would be all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def dockerd() -> Iterator[Dockerd]:
    """A real dockerd, shared: names in it belong to the test that makes them."""
    with running_dockerd() as daemon:
        yield daemon


@pytest.fixture(scope="session")
def lamina_daemon() -> Iterator[LaminaDaemon]:
    """A `lamina serve`, shared in the same way."""
    with running_lamina() as daemon:
        yield daemon


Servers = tuple[Path, Path]


@contextmanager
def _emptied(dockerd: Dockerd, lamina: LaminaDaemon) -> Iterator[Servers]:
    """The sockets of both engines, without images before and after."""
    sockets = dockerd.socket, lamina.socket
    for socket in sockets:
        empty(socket)
    yield sockets
    for socket in sockets:
        empty(socket)


@pytest.fixture
def servers(dockerd: Dockerd, lamina_daemon: LaminaDaemon) -> Iterator[Servers]:
    """The sockets of a dockerd and of a Lamina daemon, both without images."""
    with _emptied(dockerd, lamina_daemon) as sockets:
        yield sockets


@pytest.fixture(scope="module")
def stocked(dockerd: Dockerd, lamina_daemon: LaminaDaemon) -> Iterator[Servers]:
    """The same with the stock of images in them, for a module that only reads."""
    with _emptied(dockerd, lamina_daemon) as sockets:
        for socket in sockets:
            for archive in stock_archives():
                load(socket, archive)
        yield sockets


@pytest.fixture
def with_busybox(servers: Servers) -> Servers:
    """The same with nothing but ``busybox:1``, for containers."""
    archive = tar_of(docker_archive((busybox_image(), ["busybox:1"])))
    for socket in servers:
        load(socket, archive)
    return servers


_WATCHING = {"watched", "experimental"}
"""The fixtures that hold a test to what it `gives`."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Refuse a test that says what it gives where nobody would notice if it did not."""
    fixtures = set(getattr(item, "fixturenames", ()))
    if item.get_closest_marker("gives") and not _WATCHING & fixtures:
        raise pytest.UsageError(f"{item.nodeid} says what it gives, and is not watched")


@pytest.fixture
def watched(request: pytest.FixtureRequest, lamina_daemon: LaminaDaemon) -> Iterator[str]:
    """Lamina's DOCKER_HOST for clients that must give it what the test `gives`."""
    with relay(lamina_daemon.socket) as watched:
        yield watched.host
        assert_given(request.node, watched.asked)


@pytest.fixture(scope="session")
def registry() -> Iterator[Registry]:
    """A plain registry, shared."""
    with running_registry() as server:
        yield server


@pytest.fixture
def guarded() -> Iterator[Registry]:
    """A registry that wants to know ``me`` by the password ``secret``."""
    with running_registry(user="me", password="secret") as server:
        yield server


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Certificates for TLS on loopback."""
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def image_files(tmp_path_factory: pytest.TempPathFactory) -> ImageFiles:
    """Images as files: archives and layouts of many forms."""
    return ImageFiles(tmp_path_factory.mktemp("images"))


@pytest.fixture
def docker_cli(tmp_path: Path) -> Callable[[str], DockerCli]:
    """Given a DOCKER_HOST, the real docker command-line client for it, with a fresh config."""
    config = tmp_path / "docker-config"
    config.mkdir(mode=0o700)
    return lambda host: DockerCli(host, config)
