import pytest
from hypothesis import given, strategies as st

from lamina.errors import InvalidManifest
from lamina.oci.digest import Digest
from lamina.oci.history import HistoryEntry, layers_of_history

LAYER = HistoryEntry(created_by="COPY")
EMPTY = HistoryEntry(created_by="CMD", empty_layer=True)
A, B = Digest.of(b"a"), Digest.of(b"b")


def test_each_step_with_its_layer() -> None:
    assert layers_of_history([EMPTY, LAYER, EMPTY, LAYER], [A, B]) == [
        (EMPTY, None),
        (LAYER, 0),
        (EMPTY, None),
        (LAYER, 1),
    ]


def test_layers_without_a_step_belong_to_none() -> None:
    assert layers_of_history([LAYER], [A, B]) == [(LAYER, 0)]
    assert layers_of_history([], [A]) == []


def test_a_step_without_its_layer() -> None:
    with pytest.raises(InvalidManifest) as caught:
        layers_of_history([LAYER, LAYER], [A])
    assert str(caught.value) == "too many non-empty layers in History section"


@given(st.lists(st.sampled_from([LAYER, EMPTY])))
def test_layers_keep_their_order(history: list[HistoryEntry]) -> None:
    count = history.count(LAYER)
    paired = layers_of_history(history, [A] * count)
    assert [entry for entry, _ in paired] == history
    assert [place for _, place in paired if place is not None] == list(range(count))


def test_time() -> None:
    assert LAYER.created is None
    assert HistoryEntry(created_text="not a time").created is None
    moment = HistoryEntry(created_text="2026-11-23T23:09:00.932325089Z").created
    assert moment is not None
    assert moment.microsecond == 932325
