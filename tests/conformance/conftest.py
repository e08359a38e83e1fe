"""The engines that the suite holds against each other."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.engines import Backend, Measure, client_of, engine_in
from tests.real.dockerd import Dockerd
from tests.real.lamina_daemon import LaminaDaemon


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
