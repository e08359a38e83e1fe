import os
from pathlib import Path

import pytest

from lamina.layers.apply import ApplyOptions, Form, apply_layer
from lamina.layers.ownership import RECORD, Ownership
from lamina.snapshots.disk import SnapshotDisk, TreeRemoved
from lamina.snapshots.native import NativeSnapshots, copy_tree
from lamina.snapshots.stopping import Stop
from lamina.snapshots.store import Snapshots
from tests.unit.layers.archives import DIRECTORY, FIFO, FILE, LINK, SYMLINK, archive
from tests.unit.layers.trees import differences, listing, needs_root
from tests.unit.snapshots.conformance import Layers, SnapshotsSuite


@needs_root
class TestNative(SnapshotsSuite):
    def make(self, root: Path) -> Snapshots:
        return NativeSnapshots(root, patience=None)


class TestNativeWithoutRoot(SnapshotsSuite):
    def make(self, root: Path) -> Snapshots:
        return NativeSnapshots(root, patience=None, ownership=Ownership.RECORDED)

    def mode(self, path: Path) -> int:
        return int(os.getxattr(path, RECORD).split(b":")[2], 8)


async def test_what_is_removed_while_it_is_copied_was_not_read(tmp_path: Path) -> None:
    disk = SnapshotDisk(tmp_path / "snapshots")
    snapshots = NativeSnapshots(disk.root, patience=None, ownership=Ownership.RECORDED)
    await snapshots.unpack([Layers().of(("a", FILE, b"1"), ("b", FILE, b"2"))])
    [chain_id] = await snapshots.trees()
    copy = tmp_path / "copy"
    copy.mkdir()

    class Remover(Stop):
        """Asked before each file is copied."""

        def is_set(self) -> bool:
            disk.remove_tree(chain_id)
            return False

    with pytest.raises(TreeRemoved), disk.reading([chain_id]):
        copy_tree(disk.tree(chain_id), copy, Ownership.RECORDED, Remover())
    await snapshots.close()


@pytest.mark.parametrize(
    "ownership", [pytest.param(Ownership.SET, marks=needs_root), Ownership.RECORDED]
)
def test_a_copy_is_the_same(tmp_path: Path, ownership: Ownership) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    raw = archive(
        [
            ("d", DIRECTORY, ""), ("d/file", FILE, b"x" * 9000), ("d/same", LINK, "d/file"),
            ("d/link", SYMLINK, "file"), ("fifo", FIFO, ""), ("é/empty", FILE, b""),
        ]
    )  # fmt: skip
    apply_layer([raw], one, ApplyOptions(form=Form.MERGED, ownership=ownership))
    with (one / "holes").open("wb") as file:
        file.seek(10 << 20)
        file.write(b"end")
        file.truncate(20 << 20)
    os.setxattr(one / "holes", "user.kept", b"1")
    if ownership is Ownership.RECORDED:
        os.setxattr(one / "holes", RECORD, b"0:0:0644:file")
        os.setxattr(one / "é", RECORD, b"0:0:0755:dir")
        os.setxattr(one, RECORD, b"0:0:0755:dir")
    copy_tree(one, two, ownership, Stop())
    assert differences(listing(one), listing(two)) == {}
    assert (two / "holes").stat().st_blocks < 100
