from pathlib import Path

import pytest

from lamina.errors import Unavailable
from lamina.runtime.ocispec import Machine
from lamina.runtime.programs import find_runtime
from tests.real.programs import require
from tests.unit.layers.trees import needs_root
from tests.unit.runtime.directory import names

pytestmark = needs_root


async def test_a_runtime_is_found_by_trying(tmp_path: Path) -> None:
    require("runc")
    found = await find_runtime(tmp_path, Machine.read(rootless=False))
    assert found.name == "runc"
    assert found.version
    assert names(tmp_path) == []


@pytest.mark.parametrize("program", ["/missing", "/bin/false"])
async def test_without_one_it_is_said_what_to_install(tmp_path: Path, program: str) -> None:
    with pytest.raises(Unavailable, match=r"no OCI runtime works here .*: .*install .* runc"):
        await find_runtime(tmp_path, Machine.read(rootless=False), program=program)
    assert names(tmp_path) == []
