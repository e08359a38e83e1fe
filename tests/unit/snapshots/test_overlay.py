import io
import os
import signal
import tarfile
from pathlib import Path

import pytest

from lamina.layers.ownership import RECORD
from lamina.snapshots.disk import SnapshotDisk
from lamina.snapshots.mounter import NamespaceMounter
from lamina.snapshots.mounting import mount_overlay, mounts_below, unmount
from lamina.snapshots.overlay import OverlaySnapshots
from lamina.snapshots.store import LayerSource, Snapshots
from tests.real.programs import run
from tests.unit.layers.archives import FILE
from tests.unit.layers.trees import needs_root
from tests.unit.snapshots.conformance import Layers, SnapshotsSuite


def mount_probe(path: Path) -> None:
    """Mount an overlay in a directory."""
    for name in ("lower", "upper", "work", "merged"):
        (path / name).mkdir()
    mount_overlay(
        path / "merged", lowers=[path / "lower"], upper=path / "upper", work=path / "work"
    )


@needs_root
class TestOverlay(SnapshotsSuite):
    def make(self, root: Path) -> Snapshots:
        return OverlaySnapshots(root, patience=None)

    async def test_mounts_are_gone_with_their_snapshots(
        self, root: Path, snapshots: Snapshots, image: list[LayerSource]
    ) -> None:
        await snapshots.create("one", image)
        place = (await snapshots.mount("one")).path
        assert mounts_below(root) == [str(place)]
        with (place / "held").open("wb"):
            await snapshots.remove("one")
        assert mounts_below(root) == []

    async def test_sweeping_leaves_alone_what_others_mount(
        self, root: Path, snapshots: Snapshots
    ) -> None:
        """As they do to see whether they can."""
        with SnapshotDisk(root).staged() as path:
            mount_probe(path)
            await snapshots.sweep(keep=lambda _: False)
            assert mounts_below(root) == [str(path / "merged")]
            unmount(path / "merged")

    async def test_what_could_not_be_removed_is_swept(
        self, root: Path, snapshots: Snapshots
    ) -> None:
        with pytest.raises(OSError, match="busy"), SnapshotDisk(root).staged() as path:
            mount_probe(path)
        await snapshots.sweep(keep=lambda _: False)
        assert mounts_below(root) == []
        assert list((root / "staging").iterdir()) == []

    async def test_paths_that_mount_options_cannot_say(
        self, tmp_path: Path, layers: Layers
    ) -> None:
        strange = OverlaySnapshots(tmp_path / "a,b:c\\d e\n", patience=None)
        await strange.create("one", [layers.of(("f", FILE, b"1"))])
        path = (await strange.mount("one")).path
        assert (path / "f").read_bytes() == b"1"
        assert mounts_below(tmp_path) == [str(path)]
        await strange.remove("one")
        assert mounts_below(tmp_path) == []
        await strange.close()

    async def test_owners_and_devices(self, snapshots: Snapshots) -> None:
        await snapshots.create("one", [])
        path = (await snapshots.mount("one")).path
        (path / "f").touch()
        os.chown(path / "f", 5, 6)
        os.mknod(path / "null", 0o020666, os.makedev(1, 3))
        raw = b"".join(snapshots.changes_tar("one"))
        await snapshots.create("two", [Layers().raw(raw)])
        other = (await snapshots.mount("two")).path
        assert ((other / "f").stat().st_uid, (other / "f").stat().st_gid) == (5, 6)
        assert (other / "null").stat().st_rdev == os.makedev(1, 3)

    async def test_flushed_trees_are_for_every_boot(self, root: Path, layers: Layers) -> None:
        flushing = OverlaySnapshots(root, patience=0)
        await flushing.unpack([layers.of(("f", FILE, b""))])
        [chain_id] = await flushing.trees()
        while (root / f"trees/sha256/{chain_id.hex}/boot").exists():
            os.sched_yield()
        await flushing.close()


def test_a_mounter_whose_process_was_killed_can_be_closed(tmp_path: Path) -> None:
    mounter = NamespaceMounter()
    os.kill(mounter.pid, signal.SIGKILL)
    os.waitid(os.P_PID, mounter.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(BrokenPipeError):
        mounter.unmount(tmp_path)
    mounter.close()


class TestOverlayInUserNamespace(SnapshotsSuite):
    def make(self, root: Path) -> Snapshots:
        return OverlaySnapshots(root, mounter=NamespaceMounter(), patience=None)

    def mode(self, path: Path) -> int:
        # The record, where there is one: a set-user-ID or sticky bit is not set for real.
        try:
            return int(os.getxattr(path, RECORD).split(b":")[2], 8)
        except OSError:
            return super().mode(path)

    async def test_commands_see_the_mounts(
        self, root: Path, snapshots: Snapshots, image: list[LayerSource]
    ) -> None:
        await snapshots.create("one", image)
        mounted = await snapshots.mount("one")
        assert mounts_below(root) == []
        shown = run(snapshots.command(["cat", str(mounted.inside / "etc/passwd")]))
        assert shown == "root"
        made = str(mounted.inside / "made")
        run(snapshots.command(["sh", "-c", f"umask 022; mkdir {made}; chmod 4711 {made}"]))
        with tarfile.open(fileobj=io.BytesIO(b"".join(snapshots.changes_tar("one")))) as tar:
            [info] = tar.getmembers()
        assert (info.name, info.mode, info.uid, info.gid) == ("made", 0o4711, 0, 0)
