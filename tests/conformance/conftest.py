"""The engines that the suite holds against each other."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.engines import Backend, Opened, client_of, engine_in
from tests.conformance.stock import stock_archives
from tests.conformance.wire import empty, load
from tests.real.dockerd import Dockerd
from tests.real.lamina_daemon import LaminaDaemon


@pytest.fixture
def servers(dockerd: Dockerd, lamina_daemon: LaminaDaemon) -> Iterator[tuple[Path, Path]]:
    """The sockets of a dockerd and of a Lamina daemon, both without images."""
    sockets = dockerd.socket, lamina_daemon.socket
    for socket in sockets:
        empty(socket)
    yield sockets
    for socket in sockets:
        empty(socket)


@pytest.fixture(scope="module")
def stocked(dockerd: Dockerd, lamina_daemon: LaminaDaemon) -> Iterator[tuple[Path, Path]]:
    """The same with the stock of images in them, for a module that only reads."""
    sockets = dockerd.socket, lamina_daemon.socket
    for socket in sockets:
        empty(socket)
        for archive in stock_archives():
            load(socket, archive)
    yield sockets
    for socket in sockets:
        empty(socket)


@pytest.fixture(params=["dockerd", "client", "engine"])
def backend(request: pytest.FixtureRequest, dockerd: Dockerd, tmp_path: Path) -> Backend:
    """Each of the three backends, with dockerd as the measure of the other two."""
    numbers = itertools.count()

    def measure() -> Opened:
        return client_of(dockerd.socket)

    match request.param:
        case "dockerd":
            return Backend("dockerd", measure, None)
        case "client":
            daemon: LaminaDaemon = request.getfixturevalue("lamina_daemon")
            return Backend("client", lambda: client_of(daemon.socket), measure)
        case _:
            return Backend("engine", lambda: engine_in(tmp_path / str(next(numbers))), measure)
