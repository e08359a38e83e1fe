"""A few KiB of compressed archive that imply more directories than there is memory for."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from lamina.errors import InvalidLayer
from lamina.layers.apply import ApplyOptions, Form, apply_layer
from lamina.layers.index import IndexBuilder, LayerIndex
from lamina.layers.ownership import Ownership
from lamina.layers.tarheader import EntryType
from lamina.layers.tarwriter import END, header_bytes

_TOO_MANY = "too many directories without an entry"


def deep(count: int) -> Iterator[bytes]:
    """Files, each in two thousand directories of its own."""
    for number in range(count):
        yield header_bytes(f"{number}/{'d/' * 2000}f")
    yield END


def feed(builder: IndexBuilder, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        builder.feed(piece)


def test_the_children_of_too_many() -> None:
    few, many = LayerIndex.build(deep(10)), LayerIndex.build(deep(100))
    assert few.children("1/d") == ("1/d/d",)
    with pytest.raises(InvalidLayer, match=_TOO_MANY):
        many.children()


def test_an_archive_of_files() -> None:
    builder = IndexBuilder(layer=False)
    with pytest.raises(InvalidLayer, match=_TOO_MANY):
        feed(builder, deep(100))


@pytest.mark.parametrize("form", Form)
def test_unpacking(tmp_path: Path, form: Form) -> None:
    options = ApplyOptions(form=form, ownership=Ownership.RECORDED, max_implied=300_000)
    apply_layer([header_bytes(f"{'d/' * 200}f") + END], tmp_path, options)
    with pytest.raises(InvalidLayer, match=_TOO_MANY):
        apply_layer([header_bytes(f"{'e/' * 1000}f") + END], tmp_path, options)


def test_hard_links_through_many() -> None:
    """They take no memory, but time: each step of a path is looked up."""
    path = f"{'d/' * 2000}f"
    builder = IndexBuilder()
    builder.feed(header_bytes(path))
    builder.feed(header_bytes("link", type=EntryType.SYMLINK, link="."))
    links = (
        header_bytes(f"{number}", type=EntryType.HARD_LINK, link=f"link/{path}")
        for number in range(100)
    )
    with pytest.raises(InvalidLayer, match="too many levels"):
        feed(builder, links)
