"""What differs between two stacks of layers, and what of a stack nobody sees: read from indexes."""

from collections.abc import Iterator, Sequence

from lamina.layers.changes import Change, ChangeKind
from lamina.layers.index import IndexEntry, LayerIndex
from lamina.layers.tarheader import EntryType
from lamina.layers.view import FileView, Found

__all__ = ["hidden_sizes", "view_changes"]

_FILES = frozenset({EntryType.REGULAR, EntryType.HARD_LINK})


def view_changes(old: FileView, new: FileView) -> Iterator[Change]:
    """What makes `new` of `old`: each directory before what is in it.

    As ``docker diff`` counts it: a file whose attributes, size and time are the same is taken for
    unchanged, and of a directory that is gone nothing below is told.
    """
    ahead = [_pairs(old, new, "")]
    while ahead:
        path, was, now = next(ahead[-1], ("", None, None))
        if not path:
            ahead.pop()
            continue
        if now is None:
            yield Change(f"/{path}", ChangeKind.DELETED)
            continue
        if was is None:
            yield Change(f"/{path}", ChangeKind.ADDED)
        elif was.entry is not now.entry and _traits(was.entry) != _traits(now.entry):
            yield Change(f"/{path}", ChangeKind.MODIFIED)
        if now.is_directory:
            ahead.append(_pairs(old, new, path))


def _pairs(
    old: FileView, new: FileView, directory: str
) -> Iterator[tuple[str, Found | None, Found | None]]:
    """The paths in a directory of either, sorted, and what is there in both."""
    before, after = set(old.names(directory)), set(new.names(directory))
    for name in sorted(before | after):
        path = f"{directory}/{name}" if directory else name
        yield (
            path,
            old.get(path) if name in before else None,
            new.get(path) if name in after else None,
        )


def hidden_sizes(indexes: Sequence[LayerIndex], view: FileView) -> list[int]:
    """Of each layer the bytes of files that a higher one replaces or removes.

    `view` is what the layers look like together.
    """
    return [
        sum(
            entry.size
            for entry in index
            if entry.type is EntryType.REGULAR and not _is_seen(view, entry.path, layer)
        )
        for layer, index in enumerate(indexes)
    ]


def _is_seen(view: FileView, path: str, layer: int) -> bool:
    found = view.get(path)
    return found is not None and found.layer == layer


def _traits(entry: IndexEntry) -> tuple[object, ...]:
    """All that makes an entry another one; a file is one by whatever link it is reached."""
    is_file, is_directory = entry.type in _FILES, entry.type is EntryType.DIRECTORY
    return (
        EntryType.REGULAR if is_file else entry.type,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.size if is_file else 0,
        0 if is_directory else entry.mtime_ns,
        "" if is_file else entry.link,
        entry.major,
        entry.minor,
        dict(entry.xattrs),
    )
