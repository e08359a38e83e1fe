import io
import os
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lamina.runtime.rootfs import RootFilesystems, missing_places
from lamina.runtime.runtime import Runtime
from lamina.runtime.spec import ProcessSpec, SandboxSpec
from lamina.snapshots.native import NativeSnapshots
from lamina.snapshots.overlay import OverlaySnapshots
from lamina.snapshots.store import LayerSource, Snapshots
from tests.unit.layers.archives import DIRECTORY, FILE, SYMLINK
from tests.unit.layers.trees import needs_root
from tests.unit.snapshots.conformance import Layers

pytestmark = needs_root


@pytest.fixture(params=[OverlaySnapshots, NativeSnapshots])
async def snapshots(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Snapshots]:
    made: Snapshots = request.param(tmp_path / "snapshots", patience=None)
    yield made
    await made.sweep(keep=lambda _: False)
    await made.close()


def members(tar: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as file:
        return file.getnames()


async def test_the_engines_own_mounts_are_no_changes(
    snapshots: Snapshots, busybox: LayerSource, runtime: Runtime
) -> None:
    filesystems = RootFilesystems(snapshots)
    for key in ("first", "second"):
        mounted = await filesystems.create(key, [busybox])
        script = "grep -q localhost /etc/hosts && echo >/new && echo >/etc/own"
        process = ProcessSpec(argv=("/bin/sh", "-c", script))
        spec = SandboxSpec(rootfs=mounted.inside, process=process)
        async with runtime.running(key, spec) as sandbox:
            assert (await sandbox.wait()).code == 0
        changes = [change.path for change in await snapshots.changes(key)]
        assert changes == ["/etc", "/etc/own", "/new"]
        assert members(b"".join(snapshots.changes_tar(key))) == ["etc", "etc/own", "new"]


async def test_a_layer_is_made_of_what_is_missing(
    snapshots: Snapshots, busybox: LayerSource
) -> None:
    filesystems = RootFilesystems(snapshots)
    mounted = await filesystems.create("one", [busybox])
    assert missing_places(mounted.path) == ()
    assert os.readlink(mounted.path / "etc/mtab") == "/proc/mounts"  # noqa: PTH115
    assert len(await snapshots.trees()) == 2
    await filesystems.create("two", [busybox])
    assert len(await snapshots.trees()) == 2
    await filesystems.create("empty", [])


async def test_an_image_that_lacks_nothing_has_no_such_layer(snapshots: Snapshots) -> None:
    layer = Layers().of(
        *((name, DIRECTORY, "") for name in ("dev", "dev/pts", "dev/shm", "proc", "sys", "etc")),
        *(
            (name, FILE, b"")
            for name in (
                ".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/mtab",
                "etc/resolv.conf",
            )
        ),
    )  # fmt: skip
    await RootFilesystems(snapshots).create("one", [layer])
    assert len(await snapshots.trees()) == 1


async def test_places_are_found_through_links(snapshots: Snapshots) -> None:
    layer = Layers().of(
        ("private/etc", DIRECTORY, ""), ("etc", SYMLINK, "private/etc"), ("sys", FILE, b"no place"),
        ("dev", SYMLINK, "/nowhere"),
    )  # fmt: skip
    mounted = await RootFilesystems(snapshots).create("one", [layer])
    assert (mounted.path / "private/etc/hosts").read_bytes() == b""
    assert (mounted.path / "etc").is_symlink()
    assert (mounted.path / "sys").read_bytes() == b"no place"
