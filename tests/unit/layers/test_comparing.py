from lamina.layers.changes import ChangeKind
from lamina.layers.comparing import view_changes
from lamina.layers.index import LayerIndex
from lamina.layers.view import FileView
from tests.real.images import Entry, directory, file, layer


def changes(old: list[Entry], new: list[Entry]) -> list[tuple[str, ChangeKind]]:
    views = [FileView([LayerIndex.build([layer(*entries)])]) for entries in (old, new)]
    return [(change.path, change.kind) for change in view_changes(*views)]


def test_what_was_changed() -> None:
    old = [
        directory("d"),
        file("d/same", "1"),
        file("d/other", "1"),
        directory("gone"),
        file("gone/f", ""),
    ]
    new = [directory("d"), file("d/same", "1"), file("d/other", "12"), file("d/new", "")]
    assert changes(old, new) == [
        ("/d/new", ChangeKind.ADDED),
        ("/d/other", ChangeKind.MODIFIED),
        ("/gone", ChangeKind.DELETED),
    ]


def test_paths_may_be_deep() -> None:
    path = f"{'d/' * 2000}f"
    assert changes([file(path, "1")], [file(path, "1")]) == []
    assert changes([file(path, "1")], [file(path, "12")]) == [(f"/{path}", ChangeKind.MODIFIED)]
