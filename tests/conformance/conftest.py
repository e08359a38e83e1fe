"""The engines that the suite holds against each other."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.engines import Backend, Measure, client_of, engine_in
from tests.conformance.stock import stock_archives
from tests.conformance.wire import empty, load
from tests.real.archives import docker_archive
from tests.real.dockerd import Dockerd
from tests.real.images import busybox_image, tar_of
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


@pytest.fixture
def with_busybox(dockerd: Dockerd, lamina_daemon: LaminaDaemon) -> Iterator[tuple[Path, Path]]:
    """The same with nothing but ``busybox:1``, for containers."""
    sockets = dockerd.socket, lamina_daemon.socket
    archive = tar_of(docker_archive((busybox_image(), ["busybox:1"])))
    for socket in sockets:
        empty(socket)
        load(socket, archive)
    yield sockets
    for socket in sockets:
        empty(socket)


@pytest.fixture(scope="session")
def given() -> dict[str, Any]:
    """What dockerd gave for the scenarios so far."""
    return {}


@pytest.fixture(params=["dockerd", "client", "engine"])
def backend(
    request: pytest.FixtureRequest, dockerd: Dockerd, given: dict[str, Any], tmp_path: Path
) -> Backend:
    """Each of the three backends, with dockerd as the measure."""
    numbers = itertools.count()
    name: str = request.param
    test = request.node.nodeid.replace(f"[{name}", "[", 1)
    measure = Measure(lambda: client_of(dockerd.socket), test, given)
    if name == "dockerd":
        return Backend(name, measure.opened, measure)
    if name == "client":
        daemon: LaminaDaemon = request.getfixturevalue("lamina_daemon")
        return Backend(name, lambda: client_of(daemon.socket), measure)
    return Backend(name, lambda: engine_in(tmp_path / str(next(numbers))), measure)
