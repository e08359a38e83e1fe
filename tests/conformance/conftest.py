"""The engines that the suite holds against each other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

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
