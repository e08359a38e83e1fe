import io
import os
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from lamina.layers.apply import ApplyOptions, Form, apply_layer
from lamina.layers.diff import DiffOptions, difference_tar, subtree_tar, upper_tar
from lamina.layers.directories import remove
from lamina.layers.ownership import Ownership
from lamina.layers.tree import Tree
from tests.unit.layers.archives import DIRECTORY, FIFO, FILE, LINK, SYMLINK, archive, member
from tests.unit.layers.trees import OWNERSHIP, listing, needs_root

MERGED = ApplyOptions(form=Form.MERGED, ownership=OWNERSHIP)
SECOND = 1_000_000_000


@contextmanager
def opened(*paths: Path) -> Iterator[list[int]]:
    found = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in paths]
    try:
        yield found
    finally:
        for fd in found:
            os.close(fd)


def changes_of(upper: Path, options: DiffOptions | None = None) -> bytes:
    with opened(upper) as [fd]:
        return b"".join(upper_tar(fd, options or DiffOptions(ownership=OWNERSHIP)))


def difference(lower: Path, upper: Path) -> bytes:
    with opened(lower, upper) as [old, new]:
        return b"".join(difference_tar(old, new, DiffOptions(ownership=OWNERSHIP)))


def entries(raw: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return tar.getmembers()


def names(raw: bytes) -> list[str]:
    return [entry.name for entry in entries(raw)]


@needs_root
def test_an_upper_directory(tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    apply_layer(
        [
            archive(
                [
                    ("z/.wh.gone", FILE, b""),
                    ("o/.wh..wh..opq", FILE, b""),
                    ("o/new", FILE, b"new"),
                    ("b", FILE, b"text"),
                    ("a", LINK, "b"),
                    ("o/same", LINK, "b"),
                    ("o-before", FIFO, ""),
                    ("é", SYMLINK, "ü"),
                    (".wh.top", FILE, b""),
                ]
            )
        ],
        made(upper),
    )
    os.setxattr(upper / "b", "user.dropped", b"1")
    os.utime(upper / "b", ns=(5 * SECOND, 7 * SECOND + 5))
    (upper / "b").chmod(0o6751)
    os.chown(upper / "b", 3, 4)
    (upper / ".wh.mine").write_bytes(b"would remove something")
    raw = changes_of(upper)
    assert names(raw) == [
        "a", "b", "o", "o/.wh..wh..opq", "o/new", "o/same", "o-before", ".wh.top", "z",
        "z/.wh.gone", "é",
    ]  # fmt: skip
    by_name = {entry.name: entry for entry in entries(raw)}
    first = by_name["a"]
    assert (first.size, first.mode, first.uid, first.gid, first.mtime) == (4, 0o0751, 3, 4, 7)
    assert [by_name[name].linkname for name in ("b", "o/same", "é")] == ["a", "a", "ü"]
    assert all(not set(entry.pax_headers) - {"path", "linkpath"} for entry in entries(raw))


def made(path: Path) -> Path:
    path.mkdir()
    return path


def test_the_same_bytes_whatever_the_order_of_making(tmp_path: Path) -> None:
    for tree, order in ("one", range(50)), ("two", reversed(range(50))):
        root = made(tmp_path / tree)
        for number in order:
            (root / f"f{number}").write_bytes(b"%d" % number)
            os.utime(root / f"f{number}", (number, 9))
    assert changes_of(tmp_path / "one") == changes_of(tmp_path / "two")


@needs_root
def test_a_capability_of_a_name_space_is_written_without_its_user(tmp_path: Path) -> None:
    root = made(tmp_path / "root")
    (root / "f").touch()
    plain = bytes.fromhex("0100000200200000000000000000000000000000")
    os.setxattr(
        root / "f", "security.capability", plain[:3] + b"\x03" + plain[4:] + b"\xe8\x03\0\0"
    )
    [entry] = entries(changes_of(root))
    assert entry.pax_headers["SCHILY.xattr.security.capability"].encode("latin-1") == plain


def test_what_changes_meanwhile(tmp_path: Path) -> None:
    """Sizes are kept as announced, and what is gone is left out: the archive stays sound."""
    root = made(tmp_path / "root")
    for name in "abcd":
        (root / name).write_bytes(b"x" * 3_000_000)
    with opened(root) as [fd]:
        pieces = upper_tar(fd)
        taken = [next(pieces), next(pieces)]
        (root / "a").write_bytes(b"short")
        with (root / "b").open("ab") as grown:
            grown.write(b"more")
        (root / "c").unlink()
        (root / "c").symlink_to("/etc/passwd")
        (root / "d").unlink()
        raw = b"".join([*taken, *pieces])
    assert [(entry.name, entry.size) for entry in entries(raw)] == [
        ("a", 3_000_000), ("b", 3_000_004), ("c", 0),
    ]  # fmt: skip


def test_memory_is_flat(tmp_path: Path) -> None:
    root = made(tmp_path / "root")
    with (root / "big").open("wb") as file:
        file.truncate(200 << 20)
    with opened(root) as [fd]:
        assert max(len(piece) for piece in upper_tar(fd)) <= 1 << 20


def test_deep_trees(tmp_path: Path) -> None:
    root = made(tmp_path / "root")
    steps = "/".join("d" * 1400)
    apply_layer([archive([(f"{steps}/f", FILE, b"")])], root, MERGED)
    assert len(names(changes_of(root))) == 1401
    apply_layer([archive([("s", SYMLINK, steps), (f"s/{steps}", DIRECTORY, "")])], root, MERGED)
    with pytest.raises(OSError, match="File name too long"):
        changes_of(root)
    with opened(tmp_path) as [fd]:
        remove("root", within=fd)  # pytest cannot: it is too deep


def test_recorded_ownership(tmp_path: Path) -> None:
    root = made(tmp_path / "root")
    recorded = ApplyOptions(form=Form.MERGED, ownership=Ownership.RECORDED)
    null, _ = member("null", tarfile.CHRTYPE)
    null.devmajor, null.devminor, null.mode = 1, 3, 0o666
    file, _ = member("su", FILE)
    file.mode, file.uid, file.gid = 0o4755, 1000, 70000
    folder, _ = member("dir", DIRECTORY)
    folder.mode = 0o500
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for info in (folder, null, file):
            tar.addfile(info)
    apply_layer([buffer.getvalue()], root, recorded)
    raw = changes_of(root, DiffOptions(ownership=Ownership.RECORDED))
    found = entries(raw)
    assert [(entry.name, entry.type, entry.mode, entry.uid, entry.gid) for entry in found] == [
        ("dir", DIRECTORY, 0o500, 0, 0),
        ("null", tarfile.CHRTYPE, 0o666, 0, 0),
        ("su", FILE, 0o4755, 1000, 70000),
    ]
    assert (found[1].devmajor, found[1].devminor) == (1, 3)


def test_difference_of_two_trees(tmp_path: Path) -> None:
    before = archive(
        [
            ("same/file", FILE, b"1"),
            ("deep/er/still/file", FILE, b"1"),
            ("gone/file", FILE, b""),
            ("becomes-file/x", FILE, b""),
            ("becomes-dir", FILE, b""),
            ("link", SYMLINK, "a"),
            ("mode", DIRECTORY, ""),
        ]
    )
    lower, upper = made(tmp_path / "lower"), made(tmp_path / "upper")
    for root in (lower, upper):
        apply_layer([before], root, MERGED)
    assert names(difference(lower, upper)) == []
    change = archive(
        [
            ("deep/er/still/file", FILE, b"22"),
            (".wh.gone", FILE, b""),
            ("becomes-file", FILE, b""),
            ("becomes-dir/x", FILE, b""),
            ("link", SYMLINK, "b"),
            ("new/dir", DIRECTORY, ""),
            ("deep/er/.wh.never", FILE, b""),
        ]
    )
    apply_layer([change], upper, MERGED)
    (upper / "mode").chmod(0o700)
    assert names(difference(lower, upper)) == [
        "becomes-dir", "becomes-dir/x", "becomes-file", "deep", "deep/er", "deep/er/still",
        "deep/er/still/file", ".wh.gone", "link", "mode", "new", "new/dir",
    ]  # fmt: skip


# Trees at random: few names, so that one layer's paths meet the other's.
step = st.sampled_from(["a", "b", "é", "long" * 30])
path = st.lists(step, min_size=1, max_size=4).map("/".join)
entry = st.one_of(
    st.tuples(path, st.just(FILE), st.binary(max_size=1500)),
    st.tuples(path, st.just(DIRECTORY), st.just("")),
    st.tuples(path, st.just(SYMLINK), st.sampled_from(["gone", "/x", "./y"])),
    st.tuples(path, st.just(FIFO), st.just("")),
)


def tree_of(found: list[tuple[str, bytes, bytes | str]]) -> bytes:
    """An archive that can be unpacked: no path leads through what is no directory."""
    types: dict[str, bytes] = {}
    kept: list[tuple[str, bytes, bytes | str]] = []
    for name, type, content in found:
        above = [name[:at] for at in range(len(name)) if name[at] == "/"]
        if any(types.get(directory, DIRECTORY) != DIRECTORY for directory in above):
            continue
        if type != DIRECTORY:
            types = {p: t for p, t in types.items() if not p.startswith(f"{name}/")}
        types.update({directory: DIRECTORY for directory in above if directory not in types})
        types[name] = type
        kept.append((name, type, content))
    links = [(f"{name}-link", LINK, name) for name, type, _ in kept[-1:] if type == FILE]
    return archive([*kept, *links])


@needs_root
@settings(max_examples=60)
@given(st.lists(entry, max_size=12))
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, found: list[tuple[str, bytes, bytes | str]]
) -> None:
    tmp_path = tmp_path_factory.mktemp("trip")
    one, two = made(tmp_path / "one"), made(tmp_path / "two")
    apply_layer([tree_of(found)], one, MERGED)
    raw = changes_of(one)
    apply_layer([raw], two, MERGED)
    assert without_new_times(two) == without_new_times(one)
    assert changes_of(two) == raw


@settings(max_examples=60)
@given(st.lists(entry, max_size=12), st.lists(entry, max_size=12))
def test_the_difference_makes_the_one_tree_out_of_the_other(
    tmp_path_factory: pytest.TempPathFactory,
    old: list[tuple[str, bytes, bytes | str]],
    new: list[tuple[str, bytes, bytes | str]],
) -> None:
    tmp_path = tmp_path_factory.mktemp("trip")
    one, two = made(tmp_path / "one"), made(tmp_path / "two")
    apply_layer([tree_of(old)], one, MERGED)
    apply_layer([tree_of(new)], two, MERGED)
    apply_layer([difference(one, two)], one, MERGED)
    kept, wanted = without_new_times(one), without_new_times(two)
    # Content is not compared where size and time are the same.
    assert kept.keys() == wanted.keys()
    for name in kept:
        assert kept[name][0] == wanted[name][0]
    assert names(difference(one, two)) == []


def without_new_times(root: Path) -> dict[str, tuple[object, ...]]:
    """Directories that no entry was for have the time of their making, to the nanosecond."""
    return {
        name: (*facts[:3], None if stat.S_ISDIR(int(str(facts[0]), 8)) else facts[3], *facts[4:])
        for name, facts in listing(root).items()
    }


def test_a_part_of_a_tree_under_another_name(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/file").write_bytes(b"1")
    (tmp_path / "a/b/same").hardlink_to(tmp_path / "a/file")
    (tmp_path / "a/.wh.x").write_bytes(b"no whiteout")
    (tmp_path / "link").symlink_to("a")

    def names(path: str, name: str) -> dict[str, str]:
        fd = os.open(tmp_path, os.O_RDONLY)
        tree = Tree(fd)
        try:
            raw = b"".join(subtree_tar(tree, path, name))
        finally:
            tree.close()
            os.close(fd)
        with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
            return {member.name: member.linkname for member in tar}

    below = {"a": "", "a/.wh.x": "", "a/b": "", "a/b/same": "", "a/file": "a/b/same"}
    assert names("", "") == {**below, "link": "a"}
    assert names("a", "a") == below
    assert names("a", "x") == {
        "x": "", "x/.wh.x": "", "x/b": "", "x/b/same": "", "x/file": "x/b/same",
    }  # fmt: skip
    assert set(names("", ".")) == {".", "./link", *(f"./{name}" for name in below)}
    assert names("link", "l") == {"l": "a"}
    assert names("a/b/same", "s") == {"s": ""}
    assert names("none", "n") == {}
