"""What a stack of indexes shows: the same as the directory that the layers are unpacked into."""

import posixpath
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from lamina.errors import InvalidParameter
from lamina.layers.apply import ApplyOptions, Form, apply_layer
from lamina.layers.contents import LayerContents
from lamina.layers.index import LayerIndex
from lamina.layers.tarheader import EntryType
from lamina.layers.view import FileView
from tests.real.images import Entry, directory, file, layer, opaque, symlink, whiteout
from tests.unit.layers.trees import OWNERSHIP

PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join)
KINDS = st.sampled_from(["file", "directory", "implied", "whiteout", "opaque"])
LAYERS = st.lists(st.dictionaries(PATHS, KINDS, max_size=8), min_size=1, max_size=4)
FORMATS = {stat.S_IFREG: EntryType.REGULAR, stat.S_IFDIR: EntryType.DIRECTORY}


def view_of(*layers: Sequence[Entry]) -> FileView:
    return FileView([LayerIndex.build([layer(*entries)]) for entries in layers])


def entries_of(kinds: dict[str, str], number: int) -> list[Entry]:
    """A layer such as engines write: what is removed first, directories before what is in them."""
    files = {path for path, kind in kinds.items() if kind == "file"}
    made: list[Entry] = []
    removed: list[Entry] = []
    for path in sorted(kinds):
        above = path
        while above := posixpath.dirname(above):
            if above in files:
                break
        if above:
            continue
        if kinds[path] == "file":
            made.append(file(path, f"{number} {path}"))
        elif kinds[path] == "directory":
            made.append(directory(path, 0o700 + number))
        elif kinds[path] == "implied":
            made.append(file(f"{path}/x", f"{number} x"))
        elif kinds[path] == "whiteout":
            above = posixpath.dirname(path)
            if above and kinds.get(above) not in {"directory", "opaque"}:
                made.append(directory(above))
            removed.append(whiteout(path))
        else:
            made.append(directory(path, 0o710 + number))
            made.append(opaque(path))
    return removed + made


def unpacked(layers: Sequence[bytes], root: Path) -> dict[str, tuple[object, ...]]:
    for raw in layers:
        apply_layer([raw], root, ApplyOptions(form=Form.MERGED, ownership=OWNERSHIP))
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(root.rglob("*")):
        info = path.lstat()
        is_file = stat.S_ISREG(info.st_mode)
        found[str(path.relative_to(root))] = (
            FORMATS[stat.S_IFMT(info.st_mode)],
            oct(stat.S_IMODE(info.st_mode)),
            path.read_bytes() if is_file else b"",
        )
    return found


def shown(view: FileView, layers: Sequence[bytes]) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for path, one in view.walk(""):
        at = one.entry.offset
        data = layers[one.layer][at : at + one.entry.size]
        found[path] = (one.entry.type, oct(one.entry.mode), data)
    return found


@given(kinds=LAYERS)
@settings(max_examples=100, deadline=None)
def test_shows_what_would_be_unpacked(kinds: list[dict[str, str]]) -> None:
    layers = [layer(*entries_of(one, number)) for number, one in enumerate(kinds)]
    view = FileView([LayerIndex.build([raw]) for raw in layers])
    with tempfile.TemporaryDirectory() as root:
        there = unpacked(layers, Path(root))
    seen = shown(view, layers)
    # The modes of directories that no layer has an entry for are anybody's choice.
    for path in seen:
        found = view.get(path)
        if found is not None and found.is_implied and path in there:
            there[path] = (there[path][0], oct(found.entry.mode), b"")
    assert seen == there


def test_a_directory_that_is_only_implied_keeps_its_attributes() -> None:
    view = view_of([directory("d", 0o700)], [file("d/f", "1")])
    found = view.get("d")
    assert found is not None
    assert (found.entry.mode, found.layer, found.is_implied) == (0o700, 0, False)


def test_an_empty_view_has_a_root() -> None:
    root = FileView([]).get("")
    assert root is not None
    assert root.is_directory
    assert root.is_implied


LINKS = [
    directory("d"),
    file("d/f", "1"),
    symlink("rel", "d"),
    symlink("abs", "/d"),
    symlink("out", "../../../d"),
    symlink("d/up", ".."),
    symlink("d/f2", "f"),
    symlink("nowhere", "gone/x"),
    symlink("loop", "pool"),
    symlink("pool", "loop"),
]


@pytest.mark.parametrize(
    ("path", "true"),
    [
        ("d/f", "d/f"),
        ("rel/f", "d/f"),
        ("abs/f", "d/f"),
        ("out/f", "d/f"),
        ("../../d/../d/./f", "d/f"),
        ("d/up/rel/f2", "d/f"),
        ("nowhere", "gone/x"),
        ("rel/new/file", "d/new/file"),
        ("", ""),
    ],
)
def test_links_are_followed_inside(path: str, true: str) -> None:
    assert view_of(LINKS).resolve(path) == true


def test_the_last_link_may_stay() -> None:
    assert view_of(LINKS).resolve("rel/f2", follow_last=False) == "d/f2"


def test_links_that_lead_to_each_other_are_an_error() -> None:
    with pytest.raises(InvalidParameter, match="too many levels"):
        view_of(LINKS).resolve("loop/x")


def test_what_is_below_a_file() -> None:
    view = view_of(LINKS)
    assert view.is_below_a_file("d/f/x/y")
    assert not view.is_below_a_file("d/x/y")
    assert not view.is_below_a_file("d/f")


@pytest.mark.parametrize("in_file", [True, False])
def test_contents_of_some_files(tmp_path: Path, *, in_file: bool) -> None:
    raw = layer(file("a", "1" * 700), file("b", "2"), file("c"), file("d", "4" * 5000))
    index = LayerIndex.build([raw])
    wanted = [entry for entry in reversed(index.entries) if entry.path != "b"]
    path = tmp_path / "layer.tar"
    path.write_bytes(raw)

    def stream() -> nullcontext[Iterator[bytes]]:
        return nullcontext(iter([raw[:600], raw[600:]]))

    with path.open("rb") as opened:
        descriptor = opened.fileno() if in_file else None
        with LayerContents(stream, wanted, file=descriptor, scratch=tmp_path) as contents:
            texts = {entry.path: b"".join(contents.pieces(entry)) for entry in wanted}
    assert texts == {"a": b"1" * 700, "c": b"", "d": b"4" * 5000}


@pytest.mark.parametrize("in_file", [True, False])
def test_contents_of_sparse_files(tmp_path: Path, *, in_file: bool) -> None:
    content = bytes(1 << 20) + b"1" * 5000 + bytes(1 << 20)
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as opened:
        opened.seek(1 << 20)
        opened.write(b"1" * 5000)
        opened.truncate(len(content))
    (tmp_path / "whole").write_bytes(b"2")
    path = tmp_path / "layer.tar"
    subprocess.run(
        ["tar", "--format=posix", "-cSf", path, "-C", tmp_path, "sparse", "whole"], check=True
    )
    raw = path.read_bytes()
    assert len(raw) < 1 << 20
    index = LayerIndex.build([raw])

    def stream() -> nullcontext[Iterator[bytes]]:
        return nullcontext(iter([raw]))

    with path.open("rb") as tar:
        descriptor = tar.fileno() if in_file else None
        with LayerContents(stream, index.entries, file=descriptor, scratch=tmp_path) as contents:
            texts = {entry.path: b"".join(contents.pieces(entry)) for entry in index}
    assert texts == {"sparse": content, "whole": b"2"}
