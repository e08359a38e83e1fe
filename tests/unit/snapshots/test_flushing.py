from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from lamina.oci.digest import Digest
from lamina.snapshots.flushing import Flusher

TREES = [Digest.of(name) for name in (b"one", b"two", b"three")]
HOURS = 10_000.0


@pytest.fixture
def flushed() -> SimpleQueue[list[Digest]]:
    return SimpleQueue()


@pytest.fixture
def patient(flushed: SimpleQueue[list[Digest]]) -> Iterator[Flusher]:
    flusher = Flusher(flushed.put, patience=HOURS)
    yield flusher
    flusher.close()


def test_trees_that_come_together_are_flushed_together(
    patient: Flusher, flushed: SimpleQueue[list[Digest]]
) -> None:
    for tree in TREES[:2]:
        patient.add(tree)
    assert flushed.empty()
    patient.flush_now()
    assert flushed.get_nowait() == TREES[:2]
    patient.flush_now()
    patient.add(TREES[2])
    patient.flush_now()
    assert flushed.get_nowait() == [TREES[2]]
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
