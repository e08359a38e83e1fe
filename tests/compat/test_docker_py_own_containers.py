"""docker-py's own integration tests of containers, on Lamina.

They take minutes, so that dockerd was asked only when this list was made: what is left out here is
what it fails as well, and what Lamina does not have.
"""

from pathlib import Path

import pytest

from tests.compat.hub import Engines
from tests.compat.own_tests import Suite, not_passed
from tests.compat.test_docker_py_own import LAST_WITH_TESTS
from tests.real.sdist import sdist_tree

# About two minutes, if nothing else runs.
pytestmark = pytest.mark.timeout(900)

_API = "tests/integration/api_container_test.py"
_EXEC = "tests/integration/api_exec_test.py"
_MODELS = "tests/integration/models_containers_test.py"
_RUN = f"{_MODELS}::ContainerCollectionTest::test_run_with"

FILES = (_API, _EXEC, _MODELS, "tests/integration/errors_test.py")

OUT_OF_SCOPE = {
    "needs named volumes": (
        f"{_API}::VolumeBindTest::test_create_with_volume_mount",
        f"{_RUN}_named_volume",
    ),
    "needs links": (f"{_API}::CreateContainerTest::test_create_with_links", f"{_API}::LinkTest"),
    "needs networks": (
        f"{_RUN}_network",
        f"{_RUN}_networking_config",
        f"{_RUN}_networking_config_with_undeclared_network",
        f"{_RUN}_networking_config_only_undeclared_network",
    ),
    "needs a bridge, so fails on the dockerd of these tests": (
        f"{_API}::CreateContainerTest::test_create_with_mac_address",
        f"{_API}::PortTest",
        f"{_API}::GetContainerStatsTest::test_get_container_stats_no_stream",
        f"{_MODELS}::ContainerTest::test_ports_target_none",
        f"{_MODELS}::ContainerTest::test_ports_target_tuple",
        f"{_MODELS}::ContainerTest::test_ports_target_list",
        f"{_MODELS}::ContainerTest::test_stats",
    ),
    "loses what comes along with the reply's head, also from dockerd": (
        f"{_API}::AttachContainerTest::test_attach_no_stream",
    ),
    "needs websockets, and a library for them": (
        f"{_API}::AttachContainerTest::test_run_container_reading_socket_ws",
    ),
    "needs users and directories of alpine, or Docker Hub": (
        f"{_EXEC}::ExecTest::test_exec_command_as_user",
        f"{_EXEC}::ExecTest::test_exec_command_with_workdir",
        f"{_RUN}_image_that_does_not_exist",
    ),
    "expects 126 for an exec of a program that is not there: since 25.0 it is 127": (
        f"{_MODELS}::ContainerTest::test_exec_run_failed",
    ),
    "removes a container in the moment before it is started again": (
        f"{_API}::CreateContainerTest::test_create_with_restart_policy",
    ),
    "waits for ten seconds, as others do for fewer": (f"{_MODELS}::ContainerTest::test_restart",),
}

SKIPPED_BY_ITSELF = {
    # "Output of docker top depends on host distro"
    "api_container_test.ContainerTopTest.test_top",
    "api_container_test.ContainerTopTest.test_top_with_psargs",
    # Needs a kernel with real-time groups.
    "api_container_test.CreateContainerTest.test_create_with_cpu_rt_options",
}


def test_all_but_what_is_out_of_scope_passes(engines_on_hub: Engines, tmp_path: Path) -> None:
    suite = Suite("docker-py", sdist_tree("docker", LAST_WITH_TESTS), FILES, OUT_OF_SCOPE)
    outcomes = suite.run(engines_on_hub.lamina, tmp_path / "lamina", {})
    assert len(outcomes) > 100
    wrong = not_passed(outcomes)
    assert wrong.keys() <= SKIPPED_BY_ITSELF, "\n\n".join(
        f"{name}: {text}" for name, text in wrong.items() if name not in SKIPPED_BY_ITSELF
    )
