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


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("/missing", r"\(/missing: not installed\): to run containers, install the package runc$"),
        ("/bin/false", r"\(/bin/false: [^)]+\)$"),
    ],
)
async def test_why_none_works(tmp_path: Path, program: str, message: str) -> None:
    with pytest.raises(Unavailable, match=f"^no OCI runtime works here {message}"):
        await find_runtime(tmp_path, Machine.read(rootless=False), program=program)
    assert names(tmp_path) == []
