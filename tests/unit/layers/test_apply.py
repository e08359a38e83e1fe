import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from lamina.errors import InvalidLayer
from lamina.layers.apply import Applied, ApplyOptions, Form, LayerApplier, apply_layer
from lamina.layers.directories import remove
from lamina.layers.ownership import RECORD, Ownership
from tests.unit.layers.archives import (
    DIRECTORY,
    FIFO,
    FILE,
    LINK,
    SYMLINK,
    Entry,
    archive,
    archive_of,
    cut,
    member,
)
from tests.unit.layers.trees import OWNERSHIP, listing, needs_root, open_descriptors

MERGED = ApplyOptions(form=Form.MERGED, ownership=OWNERSHIP)
RECORDED = ApplyOptions(form=Form.MERGED, ownership=Ownership.RECORDED)
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "root"
    made.mkdir()
    yield made
    # What pytest cannot remove: it is too deep.
    fd = os.open(tmp_path, os.O_RDONLY)
    remove("root", within=fd)
    os.close(fd)


def apply(root: Path, *entries: Entry, options: ApplyOptions = MERGED) -> Applied:
    return apply_layer([archive(entries)], root, options)


def names(root: Path) -> set[str]:
    return set(listing(root)) - {""}


def info(
    name: str, type: bytes = FILE, content: bytes | str = b"", **fields: object
) -> tuple[tarfile.TarInfo, bytes]:
    made, data = member(name, type, content)
    for field, value in fields.items():
        setattr(made, field, value)
    return made, data


@needs_root
def test_everything_a_header_says(root: Path) -> None:
    when = 1_600_000_000.25
    raw = archive_of([
        info("dir", DIRECTORY, mode=0o1775, uid=1, gid=2, mtime=when),
        info("dir/file", mode=0o6755, uid=3, gid=4, mtime=when, content=b"text",
             pax_headers={"SCHILY.xattr.security.capability": CAPABILITY.decode("latin-1"),
                          "SCHILY.xattr.user.colour": "blue"}),
        info("dir/link", SYMLINK, uid=5, gid=6, mtime=when, content="../nowhere"),
        info("fifo", FIFO, mode=0o622, uid=7, gid=8, mtime=when),
        info("null", tarfile.CHRTYPE, mode=0o666, devmajor=1, devminor=3, mtime=when),
        info("disk", tarfile.BLKTYPE, mode=0o660, gid=6, devmajor=259, devminor=70000, mtime=when),
        info("dir/same", LINK, content="dir/file", mode=0o6755, uid=3, gid=4, mtime=when),
    ])  # fmt: skip
    apply_layer(cut(raw, 700), root, MERGED)
    ns = 1_600_000_000_250_000_000
    xattrs = (("security.capability", CAPABILITY), ("user.colour", b"blue"))
    found = listing(root)
    del found[""]
    content = found["dir/file"][4]
    assert content == found["dir/same"][4]
    assert (root / "dir/file").read_bytes() == b"text"
    assert found == {
        "dir": ("0o41775", 1, 2, ns, None, (), "dir"),
        "dir/file": ("0o106755", 3, 4, ns, content, xattrs, "dir/file"),
        "dir/same": ("0o106755", 3, 4, ns, content, xattrs, "dir/file"),
        "dir/link": ("0o120777", 5, 6, ns, "../nowhere", (), "dir/link"),
        "fifo": ("0o10622", 7, 8, ns, None, (), "fifo"),
        "null": ("0o20666", 0, 0, ns, (1, 3), (), "null"),
        "disk": ("0o60660", 0, 6, ns, (259, 70000), (), "disk"),
    }


@needs_root
def test_attributes_of_directories_that_forbid_and_come_late(root: Path) -> None:
    raw = archive_of([
        info("a", DIRECTORY, mode=0o500, mtime=5),
        info("a/b", DIRECTORY, mode=0, mtime=6),
        info("a/b/file", mode=0o4711, mtime=7),
        info("late/file", mtime=8),
        info("late", DIRECTORY, mode=0o2750, mtime=9),
        info("", DIRECTORY, mode=0o711, mtime=10),
    ])  # fmt: skip
    applied = apply_layer([raw], root, ApplyOptions())
    assert applied == Applied(6, ())
    for path, mode, mtime in [
        ("a", 0o500, 5), ("late", 0o2750, 9), ("late/file", 0o644, 8), ("", 0o711, 10),
    ]:  # fmt: skip
        there = (root / path).stat()
        assert (stat.S_IMODE(there.st_mode), there.st_mtime) == (mode, mtime), path


def test_what_is_implied(root: Path) -> None:
    applied = apply(
        root,
        ("a/b/file", FILE, b""),
        ("a", DIRECTORY, ""),
        options=ApplyOptions(ownership=OWNERSHIP),
    )
    assert applied.implied == ("", "a/b")
    assert stat.S_IMODE((root / "a/b").stat().st_mode) == 0o755


def test_many_directories_at_once(root: Path) -> None:
    """More than stay open, in an order that returns to each."""
    entries: list[Entry] = [(f"d{n}", DIRECTORY, "") for n in range(200)]
    for turn in range(2):
        entries += [(f"d{n}/sub/f{turn}", FILE, b"%d" % n) for n in range(200)]
    raw = archive_of([(item, content) for item, content in (member(*entry) for entry in entries)])
    apply_layer([raw], root, MERGED)
    assert len(names(root)) == 200 * 4
    assert (root / "d17/sub/f1").read_bytes() == b"17"
    assert {(root / f"d{n}").stat().st_mtime for n in range(200)} == {0}
    assert open_descriptors() < 64


@needs_root
def test_directories_that_pass_their_group_on(root: Path) -> None:
    os.chown(root, 0, 77)
    root.chmod(0o2755)
    raw = archive_of([info("file"), info("dir", DIRECTORY), info("dir/file", gid=5)])
    apply_layer([raw], root, MERGED)
    assert [(root / name).stat().st_gid for name in ("file", "dir", "dir/file")] == [0, 0, 5]
    assert not (root / "dir").stat().st_mode & stat.S_ISGID


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("x", FILE, b"1"), ("x", DIRECTORY, "")),
        (("x/y/z", FILE, b"1"), ("x", FILE, b"2")),
        (("x/y/z", FILE, b"1"), ("x", SYMLINK, "y")),
        (("x", SYMLINK, "y"), ("x", FILE, b"1")),
        (("x", SYMLINK, "y"), ("x", DIRECTORY, "")),
        (("x", FIFO, ""), ("x", SYMLINK, "y")),
        (("x/y", FILE, b"1"), ("x", FIFO, "")),
        (("x", FILE, b"1"), ("x", FILE, b"2")),
    ],
)
@pytest.mark.parametrize("apart", [False, True])
def test_replaces(root: Path, first: Entry, second: Entry, *, apart: bool) -> None:
    kept: Entry = ("kept", FILE, b"")
    if apart:
        apply(root, kept, first)
        apply(root, second)
    else:
        apply(root, kept, first, second)
    assert names(root) == {"kept", "x"}
    there = (root / "x").lstat()
    kinds = {FILE: stat.S_IFREG, DIRECTORY: stat.S_IFDIR, SYMLINK: stat.S_IFLNK, FIFO: stat.S_IFIFO}
    assert stat.S_IFMT(there.st_mode) == kinds[second[1]]
    if second[1] == FILE:
        assert (root / "x").read_bytes() == second[2]


def test_a_directory_again_keeps_what_is_in_it(root: Path) -> None:
    apply(root, ("x/y", FILE, b"1"), ("x", DIRECTORY, ""))
    apply(root, ("x", DIRECTORY, ""))
    assert names(root) == {"x", "x/y"}


def test_whiteouts_remove_what_is_below(root: Path) -> None:
    apply(
        root, ("a/old", FILE, b""), ("a/deep/er", FILE, b""), ("b/old", FILE, b""),
        ("c/old/x", FILE, b""), ("c/sub/old", FILE, b""), ("link", SYMLINK, "b"),
    )  # fmt: skip
    apply(
        root,
        ("a/.wh.deep", FILE, b""),
        ("a/.wh.never", FILE, b""),
        ("b/new", FILE, b""),
        ("b/.wh..wh..opq", FILE, b""),
        ("c/sub/new", FILE, b""),
        ("c/.wh..wh..opq", FILE, b""),
        (".wh.link", FILE, b""),
        (".wh..wh.plnk", DIRECTORY, ""),
        (".wh..wh.plnk/1.2", FILE, b""),
    )
    assert names(root) == {"a", "a/old", "b", "b/new", "c", "c/sub", "c/sub/new"}


@pytest.mark.parametrize("before", [False, True])
def test_a_whiteout_spares_what_its_own_layer_has(root: Path, *, before: bool) -> None:
    apply(root, ("x/old", FILE, b""), ("y", FILE, b"old"))
    marks: list[Entry] = [(".wh.x", FILE, b""), (".wh.y", FILE, b"")]
    new: list[Entry] = [("x/new", FILE, b""), ("y", FILE, b"new")]
    apply(root, *([*marks, *new] if before else [*new, *marks]))
    assert names(root) == {"x", "x/new", "y"}
    assert (root / "y").read_bytes() == b"new"


@needs_root
@pytest.mark.parametrize("before", [False, True])
def test_overlay_form(root: Path, *, before: bool) -> None:
    marks: list[Entry] = [
        (".wh.x", FILE, b""), (".wh.y", FILE, b""), ("d/.wh.gone", FILE, b""),
        ("o/.wh..wh..opq", FILE, b""),
    ]  # fmt: skip
    new: list[Entry] = [("x/new", FILE, b""), ("y", FILE, b"new")]
    apply(root, *([*marks, *new] if before else [*new, *marks]), options=ApplyOptions())
    assert names(root) == {"x", "x/new", "y", "d", "d/gone", "o"}
    gone = (root / "d/gone").lstat()
    assert stat.S_ISCHR(gone.st_mode)
    assert gone.st_rdev == 0
    opaque = "trusted.overlay.opaque"
    assert os.getxattr(root / "x", opaque) == os.getxattr(root / "o", opaque) == b"y"
    assert opaque not in os.listxattr(root / "d")


@needs_root
def test_attributes_that_are_overlayfs_own_are_not_taken(root: Path) -> None:
    headers = {
        f"SCHILY.xattr.{name}": "/etc"
        for name in ("trusted.overlay.redirect", "user.overlay.metacopy", RECORD, "user.ok")
    }
    apply_layer([archive_of([info("f", pax_headers=headers)])], root, ApplyOptions())
    assert os.listxattr(root / "f") == ["user.ok"]


def test_recorded_ownership(root: Path) -> None:
    raw = archive_of([
        info("dir", DIRECTORY, mode=0o500, uid=10, gid=20, mtime=5),
        info("dir/file", mode=0o4011, uid=1, gid=2, content=b"text", mtime=5),
        info("null", tarfile.CHRTYPE, mode=0o666, devmajor=1, devminor=3),
        info("disk", tarfile.BLKTYPE, mode=0o660, gid=6, devmajor=8, devminor=1),
        info("fifo", FIFO, mode=0o600, uid=7),
        info("link", SYMLINK, uid=7, content="x"),
        info("same", LINK, uid=1, gid=2, mode=0o4011, content="dir/file"),
    ])  # fmt: skip
    apply_layer([raw], root, RECORDED)
    assert {
        path: os.getxattr(root / path, RECORD) for path in ("dir", "dir/file", "null", "disk")
    } == {
        "dir": b"10:20:0500:dir",
        "dir/file": b"1:2:04011:file",
        "null": b"0:0:0666:char-1-3",
        "disk": b"0:6:0660:block-8-1",
    }
    for path, mode in [("dir", 0o700), ("dir/file", 0o611), ("null", 0o666), ("fifo", 0o600)]:
        there = (root / path).lstat()
        assert stat.S_IMODE(there.st_mode) == mode, path
        assert (there.st_uid, there.st_gid) == (os.geteuid(), os.getegid())
    assert (root / "null").is_file()
    assert (root / "dir").stat().st_mtime == 5


def test_links_are_followed_inside(root: Path) -> None:
    apply(
        root,
        ("usr/lib/one", FILE, b"1"),
        ("lib", SYMLINK, "usr/lib"),
        ("abs", SYMLINK, "/usr/../usr/./lib"),
        ("up", SYMLINK, "../../../../usr"),
        ("lib/two", FILE, b"2"),
        ("abs/three", FILE, b"3"),
        ("up/lib/four", FILE, b"4"),
        ("missing", SYMLINK, "made/here"),
        ("missing/five", FILE, b"5"),
        ("six", LINK, "up/lib/one"),
    )
    assert sorted(path.name for path in (root / "usr/lib").iterdir()) == [
        "four",
        "one",
        "three",
        "two",
    ]
    assert (root / "made/here/five").read_bytes() == b"5"
    assert (root / "six").samefile(root / "usr/lib/one")


HOSTILE: list[list[Entry]] = [
    [("x", SYMLINK, "{outside}"), ("x/new", FILE, b"!")],
    [("x", SYMLINK, "{outside}"), ("x/victim", FILE, b"!")],
    [("x", SYMLINK, "{outside}/victim"), ("x", FILE, b"!")],
    [("x", SYMLINK, "../../../../../..{outside}"), ("x/victim", FILE, b"!")],
    [("x", SYMLINK, "{outside}"), ("x/.wh.victim", FILE, b"")],
    [("x", SYMLINK, "{outside}"), ("x/.wh..wh..opq", FILE, b"")],
    [("x", SYMLINK, "{outside}/victim"), ("y", LINK, "x"), ("y", FILE, b"!")],
    [("x", SYMLINK, "{outside}"), ("y", LINK, "x/victim"), ("y", FILE, b"!")],
    [("x", SYMLINK, "{outside}"), ("x", DIRECTORY, ""), ("x/victim", FILE, b"!")],
    [("a", SYMLINK, "b"), ("b", SYMLINK, "{outside}"), ("a/victim", FILE, b"!")],
    [("d/x", FILE, b""), ("d", SYMLINK, "{outside}"), ("d/victim", FILE, b"!")],
    [("d/x", FILE, b""), ("d", SYMLINK, "{outside}"), (".wh.d", FILE, b"")],
    [("d/e/x", FILE, b""), ("d/e", SYMLINK, "{outside}"), ("d", FILE, b"")],
    [("x", SYMLINK, "/proc/self/cwd{outside}"), ("x/victim", FILE, b"!")],
    [("x", SYMLINK, "/proc/self/root"), ("x{outside}/victim", FILE, b"!")],
    [("../outside/victim", FILE, b"!")],
    [("x/../../outside/victim", FILE, b"!")],
    [("{outside}/victim", FILE, b"!")],
    [("y", LINK, "../outside/victim"), ("y", FILE, b"!")],
    [("y", LINK, "{outside}/victim"), ("y", FILE, b"!")],
    [("x", SYMLINK, "x"), ("x/victim", FILE, b"!")],
    [("..", DIRECTORY, ""), ("a/..", DIRECTORY, "")],
    [("x/.wh...", FILE, b"")],
    [(".wh..", FILE, b"")],
]


@pytest.mark.parametrize("options", [MERGED, ApplyOptions(), RECORDED])
@pytest.mark.parametrize("entries", HOSTILE)
@pytest.mark.parametrize("apart", [False, True])
def test_nothing_leaves_the_root(
    tmp_path: Path, root: Path, entries: list[Entry], options: ApplyOptions, *, apart: bool
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_bytes(b"precious")
    before = listing(tmp_path / "outside")
    siblings = sorted(tmp_path.iterdir())
    placed = [
        (name.format(outside=outside), type,
         content.format(outside=outside) if isinstance(content, str) else content)
        for name, type, content in entries
    ]  # fmt: skip
    layers = [[entry] for entry in placed] if apart else [placed]
    for layer in layers:
        try:
            apply(root, *layer, options=options)
        except InvalidLayer:
            break
        except PermissionError:
            # Without root no whiteout can be made for overlayfs.
            assert options.form is Form.OVERLAY
            assert os.geteuid() != 0
            break
    assert listing(outside) == before
    assert sorted(tmp_path.iterdir()) == siblings


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([("f", FILE, b""), ("f/x", FILE, b"")], "open /f/x: not a directory"),
        ([("f", FILE, b""), ("f/x", DIRECTORY, "")], "mkdir /f/x: not a directory"),
        ([("y", LINK, "never")], "link /never /y: no such file or directory"),
        ([("y", LINK, "y")], "link /y /y: no such file or directory"),
        ([("y", FILE, b""), ("y", LINK, "y")], "link /y /y: no such file or directory"),
        ([("d", DIRECTORY, ""), ("y", LINK, "d")], "link /d /y: is a directory"),
        ([("x", SYMLINK, "x"), ("x/y", FILE, b"")], "too many levels of symbolic links"),
        ([("n" * 256, FILE, b"")], "file name too long"),
        ([("f", b"V", b"")], "unhandled tar header type 86"),
        ([("", FILE, b"")], "the root is no directory"),
    ],
)
def test_refuses(root: Path, entries: list[Entry], message: str) -> None:
    with pytest.raises(InvalidLayer, match=message):
        apply(root, *entries)


@needs_root
@pytest.mark.parametrize(
    "field", [("uid", 2**32 - 1), ("gid", 2**32), ("devmajor", 5000), ("devminor", 1 << 20)]
)
def test_refuses_numbers_no_file_has(root: Path, field: tuple[str, int]) -> None:
    made, _ = member("f", tarfile.CHRTYPE)
    setattr(made, *field)
    with pytest.raises(InvalidLayer, match="invalid argument"):
        apply_layer([archive_of([(made, b"")])], root, MERGED)


def test_times_far_away(root: Path) -> None:
    far = archive_of([info("f", mtime=2**60), info("g", mtime=-(2**60)), info("h", mtime=-5)],
                     tarfile.GNU_FORMAT)  # fmt: skip
    apply_layer([far], root, MERGED)
    assert (root / "f").stat().st_mtime > 2**32
    assert (root / "g").stat().st_mtime < -(2**30)
    assert (root / "h").stat().st_mtime == -5


def test_deeper_than_a_path_can_be(root: Path) -> None:
    steps = "/".join("d" for _ in range(1500))
    entries: list[Entry] = [(steps, DIRECTORY, "")]
    entries += [(f"s{number}", SYMLINK, steps) for number in range(4)]
    entries += [(f"s{number}/{steps}", DIRECTORY, "") for number in range(4)]
    apply(root, *entries)
    apply(root, (".wh.d", FILE, b""))
    assert names(root) == {f"s{number}" for number in range(4)}


def test_a_cut_stream(root: Path) -> None:
    raw = archive([("f", FILE, bytes(3000))])
    before = open_descriptors()
    fd = os.open(root, os.O_RDONLY)
    with LayerApplier(fd) as applier:
        applier.feed(raw[:2000])
        with pytest.raises(InvalidLayer, match="unexpected EOF"):
            applier.finish()
    os.close(fd)
    assert open_descriptors() == before


@pytest.mark.parametrize("format", ["gnu", "0.0", "0.1", "1.0"])
@pytest.mark.parametrize("pieces", [2, 60])
def test_sparse_files(tmp_path: Path, root: Path, format: str, pieces: int) -> None:
    """As GNU tar writes them, and as it reads them back."""
    content = bytearray((pieces + 1) * (1 << 20))
    file = tmp_path / "sparse"
    with file.open("wb") as out:
        for number in range(pieces):
            content[number << 20 : (number << 20) + 5000] = b"%04d." % number * 1000
            out.seek(number << 20)
            out.write(b"%04d." % number * 1000)
        out.truncate(len(content))
    option = (
        ["--format=gnu"] if format == "gnu" else ["--format=posix", f"--sparse-version={format}"]
    )
    raw = subprocess.run(
        ["tar", "-cSf", "-", *option, "-C", str(tmp_path), "sparse"],
        check=True,
        capture_output=True,
    ).stdout
    assert len(raw) < len(content)
    for size in (len(raw), 777):
        apply_layer(cut(raw, size), root, MERGED)
        assert (root / "sparse").read_bytes() == content
        assert (root / "sparse").stat().st_blocks * 512 < len(content) / 2


def broken_maps() -> Iterable[dict[str, str]]:
    base = {"GNU.sparse.size": "100"}
    for sparse_map in ("0,9,5,0", "0,200", "0", "50,3", "-1,9", "99,9", "x,9", "0,9,0,9"):
        yield {**base, "GNU.sparse.map": sparse_map}
    yield {**base, "GNU.sparse.major": "1", "GNU.sparse.minor": "0"}


@pytest.mark.parametrize("headers", list(broken_maps()))
def test_broken_sparse_maps(root: Path, headers: dict[str, str]) -> None:
    raw = archive_of([info("f", content=b"ninebytes", pax_headers=headers)])
    with pytest.raises(InvalidLayer, match="invalid tar header"):
        apply_layer([raw], root, MERGED)


def test_memory_holds_no_data(root: Path) -> None:
    """A file larger than what is fed at once is on disk as it comes."""
    raw = io.BytesIO(archive([("f", FILE, bytes(4 << 20))]))
    fd = os.open(root, os.O_RDONLY)
    with LayerApplier(fd, MERGED) as applier:
        applier.feed(raw.read(2 << 20))
        assert (root / "f").stat().st_size == (2 << 20) - 512
        applier.feed(raw.read())
        applier.finish()
    os.close(fd)
    assert (root / "f").stat().st_size == 4 << 20
