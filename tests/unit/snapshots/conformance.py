"""What every implementation of `lamina.snapshots.store.Snapshots` has to do."""

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lamina.errors import Conflict, InvalidLayer, InvalidParameter, NotFound
from lamina.oci.digest import Digest
from lamina.oci.rootfs import chain_ids
from lamina.snapshots.store import LayerSource, Snapshots
from tests.unit.layers.archives import DIRECTORY, FILE, SYMLINK, Entry, archive, cut


class Layers:
    """Layers to unpack; counts how often each is read."""

    def __init__(self) -> None:
        self.read = 0

    def of(self, *entries: Entry) -> LayerSource:
        return self.raw(archive(entries))

    def raw(self, raw: bytes) -> LayerSource:
        @contextmanager
        def opened() -> Iterator[Iterator[bytes]]:
            self.read += 1
            yield iter(cut(raw, 4096))

        return LayerSource(Digest.of(raw), opened)


class SnapshotsSuite:
    """Subclasses say what `snapshots` is; a directory of it is at `root`."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        return tmp_path / "snapshots"

    @pytest.fixture
    async def snapshots(self, root: Path) -> AsyncIterator[Snapshots]:
        made = self.make(root)
        yield made
        await made.sweep(keep=lambda _: False)
        await made.close()

    def make(self, root: Path) -> Snapshots:
        raise NotImplementedError

    @pytest.fixture
    def layers(self) -> Layers:
        return Layers()

    @pytest.fixture
    def image(self, layers: Layers) -> list[LayerSource]:
        return [
            layers.of(
                ("etc", DIRECTORY, ""), ("etc/passwd", FILE, b"root"), ("tmp/old", FILE, b""),
                ("opt/a/b", FILE, b"1"), ("lib", SYMLINK, "usr/lib"),
            ),
            layers.of(("etc/hosts", FILE, b"hosts"), ("tmp/.wh.old", FILE, b"")),
            layers.of(("opt/.wh..wh..opq", FILE, b""), ("opt/c", FILE, b"2")),
        ]  # fmt: skip

    async def test_layers_are_seen_through_each_other(
        self, snapshots: Snapshots, image: list[LayerSource]
    ) -> None:
        await snapshots.create("one", image)
        path = (await snapshots.mount("one")).path
        found = sorted(str(below.relative_to(path)) for below in path.rglob("*"))
        assert found == [
            "etc", "etc/hosts", "etc/passwd", "lib", "opt", "opt/c", "tmp",
        ]  # fmt: skip
        assert (path / "opt/c").read_bytes() == b"2"
        assert list(snapshots.changes_tar("one")) == [bytes(1024)]
        assert await snapshots.changes("one") == []

    async def test_attributes_of_a_directory_are_those_last_told(
        self, snapshots: Snapshots, layers: Layers
    ) -> None:
        folder = tarfile.TarInfo("shared")
        folder.type, folder.mode, folder.mtime = DIRECTORY, 0o1777, 5
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.addfile(folder)
        image = [
            layers.raw(buffer.getvalue()),
            layers.of(("shared/one", FILE, b"")),
            layers.of(("shared/two", FILE, b"")),
        ]
        await snapshots.create("one", image)
        path = (await snapshots.mount("one")).path
        assert self.mode(path / "shared") == 0o1777

    def mode(self, path: Path) -> int:
        return path.stat().st_mode & 0o7777

    async def test_changes_make_a_layer(
        self, snapshots: Snapshots, image: list[LayerSource], layers: Layers
    ) -> None:
        await snapshots.create("one", image)
        path = (await snapshots.mount("one")).path
        (path / "etc/hosts").unlink()
        (path / "etc/passwd").write_bytes(b"changed")
        (path / "new").mkdir()
        (path / "new/file").write_bytes(b"new")
        (path / "opt/c").unlink()
        (path / "opt").rmdir()
        (path / "opt").mkdir()
        (path / "opt/d").write_bytes(b"3")
        changes = [(change.path, int(change.kind)) for change in await snapshots.changes("one")]
        for expected in [("/etc", 0), ("/etc/hosts", 2), ("/etc/passwd", 0), ("/new", 1),
                         ("/new/file", 1), ("/opt", 0), ("/opt/d", 1)]:  # fmt: skip
            assert expected in changes
        raw = b"".join(snapshots.changes_tar("one"))
        await snapshots.create("two", [*image, layers.raw(raw)])
        other = (await snapshots.mount("two")).path
        found = {str(below.relative_to(other)) for below in other.rglob("*") if below.is_file()}
        assert found == {"etc/passwd", "new/file", "opt/d"}
        assert (other / "etc/passwd").read_bytes() == b"changed"
        # Snapshots over the same layers know nothing of each other.
        await snapshots.create("three", image)
        third = (await snapshots.mount("three")).path
        assert (third / "etc/passwd").read_bytes() == b"root"

    async def test_what_is_written_is_counted(
        self, snapshots: Snapshots, image: list[LayerSource]
    ) -> None:
        await snapshots.create("one", image)
        assert await snapshots.usage("one") == 0
        place = (await snapshots.mount("one")).path
        (place / "etc/passwd").write_bytes(b"x" * 100)
        (place / "opt/new").write_bytes(b"x" * 1000)
        (place / "opt/same").hardlink_to(place / "opt/new")
        (place / "etc/hosts").unlink()
        assert await snapshots.usage("one") == 1100
        with pytest.raises(NotFound):
            await snapshots.usage("none")

    async def test_what_is_changed_survives_unmounting(
        self, snapshots: Snapshots, image: list[LayerSource]
    ) -> None:
        await snapshots.create("one", image)
        mounted = await snapshots.mount("one")
        assert await snapshots.mount("one") == mounted
        (mounted.path / "new").touch()
        await snapshots.unmount("one")
        await snapshots.unmount("one")
        assert [change.path for change in await snapshots.changes("one")] == ["/new"]
        assert ((await snapshots.mount("one")).path / "new").exists()

    async def test_nothing_is_read_twice(
        self, snapshots: Snapshots, image: list[LayerSource], layers: Layers
    ) -> None:
        assert await snapshots.unpack(image) == chain_ids(layer.diff_id for layer in image)[-1]
        assert layers.read == 3
        assert await snapshots.unpack(image) == chain_ids(layer.diff_id for layer in image)[-1]
        await snapshots.create("one", image)
        assert layers.read == 3

    async def test_no_layers(self, snapshots: Snapshots) -> None:
        assert await snapshots.unpack([]) is None
        await snapshots.create("one", [])
        path = (await snapshots.mount("one")).path
        assert list(path.iterdir()) == []
        assert self.mode(path) == 0o755
        (path / "new").touch()
        assert len(await snapshots.changes("one")) == 1

    async def test_side_by_side(self, snapshots: Snapshots, image: list[LayerSource]) -> None:
        await asyncio.gather(*(snapshots.create(f"s{number}", image) for number in range(6)))
        assert await snapshots.keys() == [f"s{number}" for number in range(6)]

    async def test_many_layers(self, snapshots: Snapshots, layers: Layers) -> None:
        image = [layers.of((f"f{number}", FILE, b""), ("same", FILE, b"%d" % number))
                 for number in range(120)]  # fmt: skip
        await snapshots.create("one", image)
        path = (await snapshots.mount("one")).path
        assert len(list(path.iterdir())) == 121
        assert (path / "same").read_bytes() == b"119"

    async def test_a_broken_layer_leaves_nothing(
        self, root: Path, snapshots: Snapshots, image: list[LayerSource], layers: Layers
    ) -> None:
        broken = layers.raw(archive([("f", FILE, bytes(5000))])[:3000])
        with pytest.raises(InvalidLayer, match="unexpected EOF"):
            await snapshots.create("one", [*image[:1], broken, *image[1:]])
        assert await snapshots.keys() == []
        whole = chain_ids(layer.diff_id for layer in image[:1])
        assert set(await snapshots.trees()) <= set(whole)
        assert list((root / "staging").iterdir()) == []

    async def test_a_cancelled_one_leaves_nothing(
        self, root: Path, snapshots: Snapshots, image: list[LayerSource]
    ) -> None:
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def endless() -> Iterator[bytes]:
            loop.call_soon_threadsafe(begun.set)
            yield archive([("f", FILE, b"")])[:512]
            while True:
                yield bytes(512)

        @contextmanager
        def opened() -> Iterator[Iterator[bytes]]:
            yield endless()

        task = asyncio.create_task(
            snapshots.create("one", [*image[:1], LayerSource(Digest.of(b"x"), opened)])
        )
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await snapshots.keys() == []
        assert list((root / "staging").iterdir()) == []

    async def test_keys(self, snapshots: Snapshots) -> None:
        for key in ("", "../x", "a/b", ".hidden", "x" * 129):
            with pytest.raises(InvalidParameter):
                await snapshots.create(key, [])
        await snapshots.create("one", [])
        with pytest.raises(Conflict):
            await snapshots.create("one", [])
        calls: list[Any] = [snapshots.mount, snapshots.remove, snapshots.changes]
        for call in calls:
            with pytest.raises(NotFound):
                await call("two")
        with pytest.raises(NotFound):
            next(snapshots.changes_tar("two"))
        await snapshots.unmount("two")

    async def test_removal(
        self, root: Path, snapshots: Snapshots, image: list[LayerSource]
    ) -> None:
        await snapshots.create("one", image)
        await snapshots.mount("one")
        [*_, top] = chain_ids(layer.diff_id for layer in image)
        with pytest.raises(Conflict):
            await snapshots.remove_tree(top)
        await snapshots.remove("one")
        assert await snapshots.keys() == []
        assert top in await snapshots.trees()
        for chain_id in await snapshots.trees():
            await snapshots.remove_tree(chain_id)
        await snapshots.remove_tree(top)
        assert await snapshots.trees() == []
        assert list((root / "staging").iterdir()) == []

    async def test_a_tree_that_is_removed_before_it_is_used_is_made_again(
        self, snapshots: Snapshots, image: list[LayerSource]
    ) -> None:
        """By another process or task, which knows of no use for it."""
        base, *others = image
        taken: list[Digest] = []

        @contextmanager
        def opened() -> Iterator[Iterator[bytes]]:
            if not taken:
                for tree in asyncio.run_coroutine_threadsafe(snapshots.trees(), loop).result():
                    taken.append(tree)
                    asyncio.run_coroutine_threadsafe(snapshots.remove_tree(tree), loop).result()
            with others[-1].open() as chunks:
                yield chunks

        loop = asyncio.get_running_loop()
        await snapshots.unpack([base])
        last = LayerSource(others[-1].diff_id, opened)
        await snapshots.create("one", [base, *others[:-1], last])
        assert taken
        path = (await snapshots.mount("one")).path
        assert (path / "etc/passwd").read_bytes() == b"root"
        assert (path / "opt/c").read_bytes() == b"2"

    async def test_sweeping(
        self, root: Path, snapshots: Snapshots, image: list[LayerSource]
    ) -> None:
        """What another process has left mounted, and half made."""
        await snapshots.create("kept", image)
        await snapshots.create("left", image)
        (await snapshots.mount("left"))
        kept = (await snapshots.mount("kept")).path
        (root / "staging/0123456789abcdef/tree/deep").mkdir(parents=True)
        other = self.make(root)
        await other.sweep(keep=lambda key: key == "kept")
        await other.close()
        assert await snapshots.keys() == ["kept"]
        assert list((root / "staging").iterdir()) == []
        assert (kept / "etc/passwd").read_bytes() == b"root"

    async def test_trees_of_another_boot_are_made_again(
        self, root: Path, snapshots: Snapshots, image: list[LayerSource], layers: Layers
    ) -> None:
        await snapshots.unpack(image)
        marks = list((root / "trees").glob("*/*/boot"))
        assert marks
        for mark in marks:
            mark.write_text("another")
        before = layers.read
        await snapshots.unpack(image)
        assert layers.read == before + 3
        for mark in marks:
            mark.unlink()  # as when the disk has it
        await snapshots.unpack(image)
        assert layers.read == before + 3
