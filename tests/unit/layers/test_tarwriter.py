import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from lamina.layers.tarheader import EntryType, TarHeader
from lamina.layers.tarstream import TarScanner
from lamina.layers.tarwriter import END, archive_size, header_bytes, padding

TYPES = [
    EntryType.REGULAR,
    EntryType.HARD_LINK,
    EntryType.SYMLINK,
    EntryType.CHARACTER_DEVICE,
    EntryType.BLOCK_DEVICE,
    EntryType.DIRECTORY,
    EntryType.FIFO,
]

texts = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]))
steps = texts.filter(lambda step: step not in {"", ".", ".."})
paths = st.lists(steps, min_size=1, max_size=40).map("/".join)
numbers = st.one_of(st.integers(0, 2**22), st.integers(0, 2**63 - 1))


def read(raw: bytes) -> tarfile.TarInfo:
    with tarfile.open(fileobj=io.BytesIO(raw + END), errors="surrogateescape") as tar:
        [info] = tar.getmembers()
        return info


def scanned(raw: bytes) -> TarHeader:
    headers: list[TarHeader] = []

    def note(header: TarHeader) -> bool:
        headers.append(header)
        return False

    scanner = TarScanner(note)
    scanner.feed(raw)
    [header] = headers
    return header


@settings(max_examples=200)
@given(
    name=paths,
    type=st.sampled_from(TYPES),
    mode=st.integers(0, 0o7777),
    owner=st.tuples(numbers, numbers, texts, texts),
    mtime_ns=st.integers(-(2**62), 2**62),
    link=paths,
    device=st.integers(0, 2**21 - 1),
    xattrs=st.dictionaries(steps.filter(lambda key: "=" not in key), st.binary(), max_size=3),
)
def test_says_what_it_was_given(
    *,
    name: str,
    type: EntryType,
    mode: int,
    owner: tuple[int, int, str, str],
    mtime_ns: int,
    link: str,
    device: int,
    xattrs: dict[str, bytes],
) -> None:
    uid, gid, user, group = owner
    link = link if type in {EntryType.HARD_LINK, EntryType.SYMLINK} else ""
    device = device if type in {EntryType.CHARACTER_DEVICE, EntryType.BLOCK_DEVICE} else 0
    raw = header_bytes(
        name, type=type, mode=mode, uid=uid, gid=gid, mtime_ns=mtime_ns, user=user, group=group,
        link=link, major=device, minor=device, xattrs=xattrs,
    )  # fmt: skip
    assert len(raw) % 512 == 0
    header = scanned(raw)
    assert (header.path, header.type, header.link) == (name, type, link)
    assert (header.mode, header.uid, header.gid) == (mode, uid, gid)
    assert (header.mtime_ns, header.user, header.group) == (mtime_ns, user, group)
    assert (header.major, header.minor, header.xattrs) == (device, device, xattrs)
    assert header.offset == len(raw)
    # The same by a reader that shares no code with this.
    info = read(raw)
    assert (info.name, info.type, info.linkname) == (name, bytes([type]), link)
    assert (info.mode, info.uid, info.gid) == (mode, uid, gid)
    assert (info.uname, info.gname) == (user, group)
    assert (info.devmajor, info.devminor) == (device, device)


@pytest.mark.parametrize("size", [0, 1, 8**11 - 1, 8**11, 2**63 - 1])
def test_sizes(size: int) -> None:
    raw = header_bytes("a", size=size)
    assert scanned(raw).size == size
    assert len(raw) == (512 if size < 8**11 else 512 * 3)


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("n" * 100, 1),
        ("n" * 101, 3),
        ("d" * 155 + "/" + "n" * 100, 1),
        ("d" * 156 + "/" + "n" * 100, 3),
        ("d" * 155 + "/" + "n" * 101, 3),
        ("é", 3),
        (b"\xe9".decode("utf-8", "surrogateescape"), 3),
    ],
)
def test_names_need_records_only_where_ustar_ends(name: str, blocks: int) -> None:
    raw = header_bytes(name)
    assert len(raw) == 512 * blocks
    assert scanned(raw).path == name
    assert read(raw).name == name


@pytest.mark.parametrize(
    "mtime_ns", [0, 1, -1, 10**9, -(10**9), 15 * 10**8, -15 * 10**8, 8**11 * 10**9, 123_456_789]
)
def test_times(mtime_ns: int) -> None:
    raw = header_bytes("a", mtime_ns=mtime_ns)
    assert scanned(raw).mtime_ns == mtime_ns
    assert read(raw).mtime == pytest.approx(mtime_ns / 10**9)


def test_directories_end_in_a_slash() -> None:
    raw = header_bytes("d", type=EntryType.DIRECTORY, mode=0o755)
    assert raw == header_bytes("d/", type=EntryType.DIRECTORY, mode=0o755)
    assert raw[:3] == b"d/\0"


def test_bytes_are_fixed() -> None:
    expected = tarfile.TarInfo("a/b")
    expected.type, expected.devmajor, expected.devminor = tarfile.CHRTYPE, 5, 1
    expected.mode, expected.mtime, expected.uid = 0o640, 1_600_000_000, 1000
    expected.uname, expected.gname = "root", "staff"
    assert header_bytes(
        "a/b", type=EntryType.CHARACTER_DEVICE, major=5, minor=1, mode=0o640, uid=1000,
        mtime_ns=1_600_000_000 * 10**9, user="root", group="staff",
    ) == expected.tobuf(tarfile.USTAR_FORMAT)  # fmt: skip


def test_the_order_of_attributes_does_not_matter() -> None:
    one = header_bytes("a", xattrs={"user.a": b"1", "user.b": b"2"})
    assert one == header_bytes("a", xattrs={"user.b": b"2", "user.a": b"1"})


@pytest.mark.parametrize("length", range(85, 110))
def test_a_record_counts_its_own_length(length: int) -> None:
    value = b"v" * length
    assert scanned(header_bytes("a", xattrs={"k": value})).xattrs == {"k": value}


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513])
def test_padding(size: int) -> None:
    assert len(padding(size)) < 512
    assert (size + len(padding(size))) % 512 == 0


def test_gnu_tar_and_the_size_known_before(tmp_path: Path) -> None:
    entries = {
        "d/": header_bytes("d/", type=EntryType.DIRECTORY, mode=0o755),
        "d/é": header_bytes("d/é", size=3, mtime_ns=1_500_000_000),
        "n" * 300: header_bytes("n" * 300, size=513),
        "s": header_bytes("s", type=EntryType.SYMLINK, link="t" * 200),
    }
    sizes = [0, 3, 513, 0]
    raw = b"".join(
        header + b"x" * size + padding(size)
        for header, size in zip(entries.values(), sizes, strict=True)
    )
    path = tmp_path / "a.tar"
    path.write_bytes(raw + END)
    assert archive_size(zip(entries.values(), sizes, strict=True)) == path.stat().st_size
    done = subprocess.run(
        ["tar", "--quoting-style=literal", "-tf", path], capture_output=True, check=True
    )
    assert done.stdout.decode().splitlines() == list(entries)
    assert not done.stderr


@pytest.mark.parametrize(
    "options",
    [
        {"name": ""},
        {"name": "a\0b"},
        {"name": "a/"},
        {"name": "a", "user": "\0"},
        {"name": "a", "size": -1},
        {"name": "a", "size": 2**63},
        {"name": "a", "uid": -1},
        {"name": "a", "type": EntryType.DIRECTORY, "size": 1},
        {"name": "a", "type": EntryType.SYMLINK},
        {"name": "a", "link": "b"},
        {"name": "a", "type": EntryType.GNU_SPARSE},
        {"name": "a", "type": EntryType.PAX_GLOBAL},
        {"name": "a", "type": EntryType.CHARACTER_DEVICE, "major": 8**7},
        {"name": "a", "xattrs": {"a=b": b""}},
        {"name": "a", "xattrs": {"": b""}},
    ],
)
def test_what_no_tar_can_say_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"tar header|entry|attribute"):
        header_bytes(**options)  # type: ignore[arg-type]
