import tarfile

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from lamina.errors import CorruptData, InvalidLayer
from lamina.layers.index import IndexBuilder, LayerIndex
from lamina.layers.tarheader import EntryType
from lamina.layers.tarwriter import header_bytes
from tests.unit.layers.archives import (
    DIRECTORY,
    FILE,
    LINK,
    SYMLINK,
    Entry,
    archive,
    archive_of,
    cut,
    member,
)

ODD = b"caf\xe9".decode("utf-8", "surrogateescape")


def rich_archive() -> bytes:
    file, content = member("usr/bin/ping", FILE, b"x" * 1000)
    file.mode, file.uid, file.gid = 0o4755, 1000, 2**31
    file.mtime = 1.5
    file.pax_headers = {"SCHILY.xattr.user.a": "1", "SCHILY.xattr.user.é": "2\udcff"}
    device, _ = member("dev/null", tarfile.CHRTYPE)
    device.devmajor, device.devminor = 1, 3
    return archive_of(
        [
            member("usr", DIRECTORY),
            (file, content),
            member("usr/bin/pong", LINK, "usr/bin/ping"),
            member("bin", SYMLINK, "usr/bin"),
            (device, b""),
            member("etc/.wh.passwd", FILE, b""),
            member(".wh.home", FILE, b""),
            member("var/.wh..wh..opq", FILE, b""),
            member(".wh..wh.aufs", FILE, b""),
            member("var/" + ODD, FILE, b"odd"),
        ]
    )


RICH = rich_archive()


def built(entries: list[Entry]) -> LayerIndex:
    return LayerIndex.build([archive(entries)])


def test_entries() -> None:
    index = LayerIndex.build(cut(RICH, 700))
    assert [entry.path for entry in index] == [
        "usr", "usr/bin/ping", "usr/bin/pong", "bin", "dev/null", "var/" + ODD,
    ]  # fmt: skip
    ping = index.get("usr/bin/ping")
    assert ping is not None
    assert (ping.type, ping.mode, ping.uid, ping.gid) == (EntryType.REGULAR, 0o4755, 1000, 2**31)
    assert ping.mtime_ns == 1_500_000_000
    assert ping.xattrs == {"user.a": b"1", "user.é": b"2\xff"}
    assert RICH[ping.offset : ping.offset + ping.size] == b"x" * 1000
    null = index.get("dev/null")
    assert null is not None
    assert (null.type, null.major, null.minor) == (EntryType.CHARACTER_DEVICE, 1, 3)
    bin = index.get("bin")
    assert bin is not None
    assert (bin.type, bin.link) == (EntryType.SYMLINK, "usr/bin")
    assert index.get("usr/bin") is None
    assert len(index) == 6
    assert "usr" in index
    assert "etc/.wh.passwd" not in index
    assert index.unpacked_size == 1000 + 7 + 3


def test_a_hard_link_knows_its_targets_content() -> None:
    index = LayerIndex.build([RICH])
    ping, pong = index.get("usr/bin/ping"), index.get("usr/bin/pong")
    assert ping is not None
    assert pong is not None
    assert (pong.type, pong.link) == (EntryType.HARD_LINK, "usr/bin/ping")
    assert (pong.size, pong.offset) == (ping.size, ping.offset)


def test_a_hard_link_keeps_the_content_it_was_made_to() -> None:
    index = built([("a", FILE, b"old"), ("b", LINK, "a"), ("a", FILE, b"newer")])
    a, b = index.get("a"), index.get("b")
    assert a is not None
    assert b is not None
    assert (a.size, b.size) == (5, 3)
    assert a.offset > b.offset


def test_a_hard_link_through_a_symbolic_link() -> None:
    index = built([("s", SYMLINK, "d"), ("d/a", FILE, b"abc"), ("b", LINK, "s/a")])
    b = index.get("b")
    assert b is not None
    assert b.size == 3


def test_whiteouts() -> None:
    index = LayerIndex.build([RICH])
    assert index.whiteouts == {"etc/passwd", "home"}
    assert index.opaques == {"var"}
    assert built([(".wh..wh..opq", FILE, b"")]).opaques == {""}


@pytest.mark.parametrize("name", [".wh.", "a/.wh.", ".wh..", "a/.wh..."])
def test_whiteouts_of_nothing_are_refused(name: str) -> None:
    with pytest.raises(InvalidLayer, match="invalid whiteout"):
        built([(name, FILE, b"")])


def test_children() -> None:
    index = built(
        [("x/y/z", FILE, b""), ("x/b", FILE, b""), ("./", DIRECTORY, b""), ("a", FILE, b"")]
    )
    assert index.children() == ("a", "x")
    assert index.children("x") == ("x/b", "x/y")
    assert index.children("x/y") == ("x/y/z",)
    assert index.children("a") == index.children("nowhere") == ()


def test_the_last_entry_of_a_path_counts() -> None:
    index = built([("a", FILE, b"1"), ("b", FILE, b"2"), ("./a", FILE, b"345")])
    assert [(entry.path, entry.size) for entry in index] == [("b", 1), ("a", 3)]


def test_a_replaced_directory_takes_its_content_away() -> None:
    index = built([("d", DIRECTORY, b""), ("d/x", FILE, b"1"), ("d", FILE, b"22")])
    assert [entry.path for entry in index] == ["d"]


def test_an_empty_layer() -> None:
    index = LayerIndex.build([])
    assert (len(index), index.children(), index.unpacked_size) == (0, (), 0)
    assert LayerIndex.decode(index.encode()).entries == ()


def same(one: LayerIndex, other: LayerIndex) -> bool:
    return (
        one.entries == other.entries
        and one.whiteouts == other.whiteouts
        and one.opaques == other.opaques
        and one.unpacked_size == other.unpacked_size
    )


def test_the_stored_form_says_everything() -> None:
    index = LayerIndex.build([RICH])
    decoded = LayerIndex.decode(index.encode())
    assert same(index, decoded)
    assert decoded.encode() == index.encode()
    assert not same(index, LayerIndex.decode(built([("a", FILE, b"")]).encode()))


steps = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1
).filter(lambda step: step not in {".", ".."} and not step.startswith(".wh."))


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.lists(steps, min_size=1, max_size=3).map("/".join),
            st.sampled_from([FILE, DIRECTORY]),
            st.binary(max_size=40),
        ),
        max_size=8,
    )
)
def test_every_index_survives_storing(drawn: list[tuple[str, bytes, bytes]]) -> None:
    index = built([(name, type, data if type == FILE else b"") for name, type, data in drawn])
    assert same(index, LayerIndex.decode(index.encode()))
    for entry in index:
        assert entry.path in index.children(entry.path.rpartition("/")[0])


def test_sparse_entries_keep_what_is_stored() -> None:
    info, content = member("s", FILE, b"x" * 600)
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.realsize": "99999"}
    index = LayerIndex.decode(LayerIndex.build([archive_of([(info, content)])]).encode())
    [entry] = index
    assert (entry.size, entry.stored, entry.sparse) == (99999, 600, True)


def test_absurd_times_can_be_stored() -> None:
    info, _ = member("a", FILE)
    info.mtime = 2**62
    [entry] = LayerIndex.decode(LayerIndex.build([archive_of([(info, b"")])]).encode())
    assert entry.mtime_ns == 2**63 - 1


GOOD = LayerIndex.build([RICH]).encode()


def altered(column: int, value: object) -> bytes:
    columns = msgspec.msgpack.decode(GOOD)
    columns[column] = value
    return msgspec.msgpack.encode(columns)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"garbage",
        GOOD[:-1],
        GOOD + b"x",
        altered(0, 2),
        altered(4, b"a\0"),
        altered(4, b"no NUL at the end"),
        altered(6, b"zzzzzz"),
        altered(7, [0]),
        altered(8, ["x"] * 6),
    ],
)
def test_broken_stored_forms_are_refused(raw: bytes) -> None:
    with pytest.raises(CorruptData, match="layer index"):
        LayerIndex.decode(raw)


def test_extended_attributes_are_bounded() -> None:
    raw = header_bytes("a", xattrs={"user.a": b"v" * 1_000_000})
    builder = IndexBuilder()
    for _ in range(67):
        builder.feed(raw)
    with pytest.raises(InvalidLayer, match="extended attributes"):
        builder.feed(raw)


def test_truncated_layers_are_refused() -> None:
    with pytest.raises(InvalidLayer, match="unexpected EOF"):
        LayerIndex.build([RICH[:2000]])
