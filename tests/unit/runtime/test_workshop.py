import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lamina.content.local import LocalStore
from lamina.records.records import Records
from lamina.runtime.spec import ProcessSpec, SandboxSpec
from lamina.runtime.workshop import Workshop
from lamina.snapshots.store import LayerSource
from tests.unit.layers.archives import FILE
from tests.unit.layers.trees import needs_root
from tests.unit.runtime.directory import names
from tests.unit.snapshots.conformance import Layers

pytestmark = needs_root

LOGGER = logging.getLogger("test")


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    async with Records.open(tmp_path, LocalStore(tmp_path / "content"), logger=LOGGER) as records:
        yield records


def workshop(root: Path, records: Records) -> Workshop:
    return Workshop(root, records, LocalStore(root / "content"), logger=LOGGER)


async def test_nothing_is_made_that_is_not_needed(tmp_path: Path, records: Records) -> None:
    before = names(tmp_path)
    unused = workshop(tmp_path, records)
    await unused.sweep()
    await unused.forget_trees()
    await unused.close()
    assert names(tmp_path) == before


async def test_what_others_are_at_stays_and_what_nobody_is_at_goes(
    tmp_path: Path, records: Records
) -> None:
    first = workshop(tmp_path, records)
    layer = Layers().of(("file", FILE, b"1"))
    for key in ("dead-1", "dead-2", first.key()):
        await first.create(key, [layer])
    await first.close()
    second = workshop(tmp_path, records)
    await second.sweep(wanted=lambda: {"dead-2"})
    snapshots = await second.snapshots()
    kept = await snapshots.keys()
    assert len(kept) == 2
    assert "dead-1" not in kept
    await second.forget_trees()
    assert len(await snapshots.trees()) == 2
    for key in kept:
        await snapshots.remove(key)
    await second.forget_trees()
    assert await snapshots.trees() == []
    await second.close()


async def test_the_trees_of_who_was_killed_go_too(tmp_path: Path, records: Records) -> None:
    killed = workshop(tmp_path, records)
    await killed.create("dead-1", [Layers().of(("file", FILE, b"1"))])
    await killed.close()
    after = workshop(tmp_path, records)
    await after.sweep()
    snapshots = await after.snapshots()
    assert (await snapshots.keys(), await snapshots.trees()) == ([], [])
    await after.close()


async def test_a_command_in_a_layer(tmp_path: Path, records: Records, busybox: LayerSource) -> None:
    shop = workshop(tmp_path, records)
    key = shop.key()
    mounted = await shop.create(key, [busybox])
    spec = SandboxSpec(
        rootfs=mounted.inside, process=ProcessSpec(argv=("/bin/sh", "-c", "echo >made"))
    )
    runtime = await shop.runtime()
    async with runtime.running(key, spec) as sandbox:
        assert (await sandbox.wait()).code == 0
    snapshots = await shop.snapshots()
    assert [change.path for change in await snapshots.changes(key)] == ["/made"]
    await snapshots.remove(key)
    await shop.close()
