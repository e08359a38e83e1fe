import logging
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lamina.runtime.networks.choice import Networks
from lamina.runtime.networks.namespaces import Surroundings
from lamina.runtime.runtime import Runtime
from lamina.snapshots.store import LayerSource
from tests.real.programs import require
from tests.unit.layers.archives import FILE, archive_of, member
from tests.unit.snapshots.conformance import Layers


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """A root filesystem with busybox, a few users, and links that lead out of it."""
    root = tmp_path / "rootfs"
    for name in ("bin", "etc", "tmp", "proc", "sys", "dev"):
        (root / name).mkdir(parents=True)
    shutil.copy(require("busybox"), root / "bin/busybox")
    for name in ("cat", "id", "sh", "sleep", "true"):
        (root / "bin" / name).symlink_to("busybox")
    (root / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:A User:/home/user:/bin/sh\nbroken:x:y:z\n"
    )
    (root / "etc/group").write_text("root:x:0:\nuser:x:1000:\naudio:x:29:user,other\nvideo:x:44:\n")
    return root


@pytest.fixture
def busybox() -> LayerSource:
    """A layer with a shell and an empty file of users."""
    shell, content = member("bin/sh", FILE, Path(require("busybox")).read_bytes())
    shell.mode = 0o755
    return Layers().raw(archive_of([(shell, content), member("etc/passwd", FILE)]))


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[Runtime]:
    require("runc")
    networks = Networks(
        Surroundings(directory=tmp_path / "run"),
        bridge=tmp_path / "bridge",
        process="test",
        logger=logging.getLogger("test"),
    )
    runtime = Runtime(tmp_path / "run", networks=networks)
    yield runtime
    await runtime.close()
    assert not (tmp_path / "run").exists()
