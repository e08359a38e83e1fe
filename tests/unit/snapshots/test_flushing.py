from queue import SimpleQueue
from threading import Event

import pytest

from lamina.oci.digest import Digest
from lamina.snapshots.flushing import Flusher

TREES = [Digest.of(name) for name in (b"one", b"two", b"three")]
HOURS = 10_000.0


@pytest.fixture
def flushed() -> SimpleQueue[list[Digest]]:
    return SimpleQueue()


def test_trees_that_come_together_are_flushed_together() -> None:
    flushed: SimpleQueue[list[Digest]] = SimpleQueue()
    disk = Event()

    def flush(trees: list[Digest]) -> None:
        flushed.put(trees)
        disk.wait()

    flusher = Flusher(flush, patience=0)
    flusher.add(TREES[0])
    assert flushed.get(timeout=30) == [TREES[0]]
    for tree in TREES[1:]:
        flusher.add(tree)
    disk.set()
    assert flushed.get(timeout=30) == TREES[1:]
    flusher.close()
    assert flushed.empty()


def test_they_are_flushed_without_being_asked_for(flushed: SimpleQueue[list[Digest]]) -> None:
    flusher = Flusher(flushed.put, patience=0.01)
    flusher.add(TREES[0])
    assert flushed.get(timeout=30) == [TREES[0]]
    flusher.close()


def test_at_the_end_nobody_waits_for_them(flushed: SimpleQueue[list[Digest]]) -> None:
    flusher = Flusher(flushed.put, patience=HOURS)
    flusher.add(TREES[0])
    flusher.close()
    assert flushed.empty()
