"""aiodocker's own tests, as far as they concern images: what passes on dockerd passes on Lamina."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.compat.hub import Engines
from tests.compat.own_tests import Outcomes, Suite, not_passed
from tests.real.certificates import Authority
from tests.real.registry import Registry, registry as running_registry
from tests.real.sdist import pinned, sdist_tree

# With pip's download.
pytestmark = pytest.mark.timeout(900)

_IMAGES = "tests/test_images.py"

FILES = (_IMAGES, "tests/test_events.py", "tests/test_system.py")
"""Its other tests are about containers, swarms and SSH, or ask no daemon at all."""

OUT_OF_SCOPE = {
    "fetches a Dockerfile from GitHub": (f"{_IMAGES}::test_build_from_remote_file",),
    "fetches a compiler and packages": (f"{_IMAGES}::test_build_from_remote_tar",),
    "prunes nothing, and wants that to be a list": (f"{_IMAGES}::test_prune_images",),
}

Run = Callable[[str, Path], Outcomes]


@pytest.fixture(scope="module")
def registry_with_password(authority: Authority) -> Iterator[Registry]:
    """With the password that aiodocker's tests know."""
    with running_registry(user="testuser", password="testpassword", tls=authority) as server:
        yield server


@pytest.fixture(scope="module")
def run(registry: Registry, registry_with_password: Registry) -> Run:
    ports = {
        "REGISTRY_AT_5000": str(registry.port),
        "REGISTRY_AT_5001": str(registry_with_password.port),
    }
    # Its own options measure its coverage, with a plugin of which we have no use; a newer
    # pytest-asyncio than its own warns of what is not set.
    suite = Suite(
        "aiodocker",
        sdist_tree("aiodocker", pinned("aiodocker")),
        FILES,
        OUT_OF_SCOPE,
        options=[
            "--override-ini=addopts=",
            "--override-ini=asyncio_default_fixture_loop_scope=fixture-scope",
        ],
    )
    return lambda host, work: suite.run(host, work, ports)


def test_what_passes_on_dockerd_passes_on_lamina(
    engines_on_hub: Engines, run: Run, tmp_path: Path
) -> None:
    on_dockerd = run(engines_on_hub.dockerd, tmp_path / "dockerd")
    assert not_passed(on_dockerd) == {}
    assert len(on_dockerd) > 25
    on_lamina = run(engines_on_hub.lamina, tmp_path / "lamina")
    assert not_passed(on_lamina) == {}
    assert on_lamina.keys() == on_dockerd.keys()
