"""docker-py's own integration tests: what passes on dockerd passes on Lamina."""

from pathlib import Path

import pytest

from tests.compat.hub import Engines
from tests.compat.own_tests import Outcomes, Suite, not_passed
from tests.real.sdist import sdist_tree

# With pip's download and three runs of about five seconds each.
pytestmark = pytest.mark.timeout(900)

LAST_WITH_TESTS = "7.0.0"
"""Later source distributions of docker-py leave the tests out. The library is the installed one."""

_API = "tests/integration/api_image_test.py"
_MODELS = "tests/integration/models_images_test.py"
_REGRESSIONS = "tests/integration/regression_test.py"

FILES = (
    _API,
    "tests/integration/api_build_test.py",
    _MODELS,
    _REGRESSIONS,
    "tests/integration/api_client_test.py",
    "tests/integration/client_test.py",
    "tests/integration/context_api_test.py",
)
"""Those about containers are run in `test_docker_py_own_containers.py`. The others are about
volumes, networks, swarms, plugins and credential helpers from beginning to end."""

OUT_OF_SCOPE = {
    "needs a bridge, so fails on the dockerd of these tests": (
        f"{_REGRESSIONS}::TestRegressions::test_792_explicit_port_protocol",
    ),
    "needs one image of Docker Hub by its digest": (
        f"{_MODELS}::ImageCollectionTest::test_pull_with_sha",
    ),
    "needs networks": (
        "tests/integration/api_build_test.py::BuildTest::test_build_with_network_mode",
    ),
    "reads at once what a container has written that was just started": tuple(
        f"tests/integration/api_build_test.py::BuildTest::test_build_{kind}_dockerfile"
        for kind in ("out_of_context", "in_context", "in_context_nested", "in_context_abs")
    ),
    "asks an address outside this machine": (
        "tests/integration/api_client_test.py::ConnectionTimeoutTest",
    ),
}

SKIPPED_BY_ITSELF = {
    # "Doesn't work inside a container"
    "api_image_test.ImportImageTest.test_import_from_url",
}


def run(host: str, work: Path, version: str) -> Outcomes:
    tree = sdist_tree("docker", LAST_WITH_TESTS)
    suite = Suite("docker-py", tree, FILES, OUT_OF_SCOPE)
    return suite.run(host, work, {"DOCKER_TEST_API_VERSION": version} if version else {})


@pytest.fixture(scope="module")
def on_dockerd(engines_on_hub: Engines, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """In the version of the API that dockerd 20.10 has."""
    return run(engines_on_hub.dockerd, tmp_path_factory.mktemp("docker-py") / "dockerd", "1.41")


def test_everything_in_scope_passes_on_dockerd(on_dockerd: Outcomes) -> None:
    # Or Lamina would be asked for less than it seems.
    assert set(not_passed(on_dockerd)) == SKIPPED_BY_ITSELF, not_passed(on_dockerd)
    assert len(on_dockerd) > 30


@pytest.mark.parametrize("version", ["1.41", ""], ids=["1.41", "newest"])
def test_what_passes_on_dockerd_passes_on_lamina(
    engines_on_hub: Engines, on_dockerd: Outcomes, tmp_path: Path, version: str
) -> None:
    on_lamina = run(engines_on_hub.lamina, tmp_path / "lamina", version)
    assert on_lamina.keys() == on_dockerd.keys()
    wrong = not_passed(on_lamina)
    assert wrong.keys() == not_passed(on_dockerd).keys(), "\n\n".join(
        f"{name}: {text}" for name, text in wrong.items() if name not in SKIPPED_BY_ITSELF
    )
