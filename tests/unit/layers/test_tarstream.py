import io
import tarfile

import pytest
from hypothesis import given, settings, strategies as st

from lamina.errors import InvalidArchive, InvalidLayer
from lamina.layers.tarheader import EntryType, TarHeader
from lamina.layers.tarstream import MAX_EXTENSION, TarScanner
from tests.unit.layers.archives import (
    DIRECTORY,
    FILE,
    LINK,
    SYMLINK,
    archive,
    archive_of,
    cut,
    member,
    patched,
)

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def scanned(raw: bytes, size: int = 1 << 20) -> list[TarHeader]:
    headers: list[TarHeader] = []

    def note(header: TarHeader) -> bool:
        headers.append(header)
        return False

    scanner = TarScanner(note)
    for part in cut(raw, size):
        scanner.feed(part)
    scanner.close()
    assert scanner.size == len(raw)
    assert scanner.entries == len(headers)
    return headers


class Extractor:
    """Keeps the data of the entries whose names it likes."""

    def __init__(self, wanted: str = "") -> None:
        self.wanted = wanted
        self.found: dict[str, bytes] = {}
        self.log: list[str] = []
        self.path = ""
        self.scanner = TarScanner(self.on_entry, on_data=self.on_data, on_end=self.on_end)

    def on_entry(self, header: TarHeader) -> bool:
        self.path = header.path
        self.log.append(f"entry {self.path}")
        return self.path.startswith(self.wanted)

    def on_data(self, piece: memoryview) -> None:
        assert len(piece)
        self.found[self.path] = self.found.get(self.path, b"") + bytes(piece)

    def on_end(self) -> None:
        self.log.append(f"end {self.path}")


names = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"),
    min_size=1,
    max_size=60,
).filter(lambda step: step not in {".", ".."})
paths = st.lists(names, min_size=1, max_size=6).map("/".join)
members = st.tuples(
    paths,
    st.sampled_from([FILE, DIRECTORY, SYMLINK, LINK, tarfile.FIFOTYPE, tarfile.CHRTYPE]),
    st.binary(max_size=1500),
    paths,
    st.integers(0, 0o7777),
    st.integers(0, 2**31),
    st.integers(0, 2**31),
    st.one_of(
        st.integers(-(2**40), 2**40),
        st.integers(0, 2**20).map(lambda eighths: eighths / 8),
    ),
    names.filter(lambda name: len(name.encode()) < 32),
)


@settings(max_examples=150)
@given(
    st.lists(members, max_size=8),
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    st.sampled_from([1, 100, 512, 700, 4096, 1 << 20]),
)
def test_reads_what_tarfile_writes(
    drawn: list[tuple[str, bytes, bytes, str, int, int, int, float, str]], format: int, size: int
) -> None:
    infos = []
    for name, type, content, target, mode, uid, gid, mtime, user in drawn:
        info, data = member(name, type, content if type == FILE else target)
        if type not in {FILE, LINK, SYMLINK}:
            info.linkname = ""
        info.mode, info.uid, info.gid, info.uname = mode, uid, gid, user
        info.mtime = mtime if format == tarfile.PAX_FORMAT else int(mtime)
        if type == tarfile.CHRTYPE:
            info.devmajor, info.devminor = 5, 255
        infos.append((info, data))
    raw = archive_of(infos, format)

    headers = scanned(raw, size)

    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        expected = tar.getmembers()
    assert len(headers) == len(infos) == len(expected)
    for header, known, (info, data) in zip(headers, expected, infos, strict=True):
        assert header.path == info.name
        assert bytes([header.type]) == info.type
        assert header.link == info.linkname
        assert (header.mode, header.uid, header.gid) == (info.mode, info.uid, info.gid)
        assert header.user == info.uname
        assert header.mtime_ns == info.mtime * 1_000_000_000
        assert header.size == header.stored == len(data)
        assert (header.major, header.minor) == (info.devmajor, info.devminor)
        assert (header.start, header.offset) == (known.offset, known.offset_data)
        assert raw[header.offset : header.offset + header.stored] == data


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("length", [99, 100, 101, 155, 200, 250])
def test_long_names(format: int, length: int) -> None:
    name = ("d" * 49 + "/") * 10
    name = name[: length - 1] + "x"
    [header] = scanned(archive([(name, FILE, b"")], format), 100)
    assert header.path == name


def test_undecodable_names_survive() -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    for format in FORMATS:
        [header] = scanned(archive([(name, SYMLINK, name)], format))
        assert header.path == header.link == name


def test_extended_attributes() -> None:
    info, content = member("ping", FILE, b"x")
    capability = "\1\0\0\2\udce9="
    info.pax_headers = {"SCHILY.xattr.security.capability": capability, "comment": "nothing"}
    [header] = scanned(archive_of([(info, content)]))
    raw = capability.encode("utf-8", "surrogateescape")
    assert header.xattrs == {"security.capability": raw}


@pytest.mark.parametrize("size", [1, 511, 513, 10_000, 1 << 20])
def test_hands_on_the_data_that_is_wanted(size: int) -> None:
    contents = {f"want/{n}": bytes([n]) * n * 700 for n in range(5)}
    raw = archive(
        [("skip", FILE, b"s" * 5000)]
        + [(name, FILE, content) for name, content in contents.items()]
        + [("want/dir", DIRECTORY, b""), ("skip2", FILE, b"s")]
    )
    extractor = Extractor("want/")
    for part in cut(raw, size):
        extractor.scanner.feed(part)
    extractor.scanner.close()
    assert extractor.found == {name: content for name, content in contents.items() if content}
    assert extractor.log == [
        "entry skip",
        *(f"{what} want/{n}" for n in range(5) for what in ("entry", "end")),
        "entry want/dir",
        "end want/dir",
        "entry skip2",
    ]


def test_data_is_handed_on_without_a_copy() -> None:
    raw = archive([("a", FILE, b"x" * 3000)])
    pieces: list[memoryview] = []
    scanner = TarScanner(lambda _header: True, on_data=pieces.append)
    scanner.feed(memoryview(raw)[:1000])
    scanner.feed(raw[1000:])
    assert pieces[0].obj is raw
    assert [len(piece) for piece in pieces] == [1000 - 512, 3000 - (1000 - 512)]


def test_v7_tells_directories_by_their_slash() -> None:
    raw = archive([("d/", FILE, b""), ("f", FILE, b"")])
    raw = patched(raw, 156, b"\0")
    raw = patched(raw, 257, bytes(8))
    first, second = scanned(raw)
    assert (first.type, first.path) == (EntryType.DIRECTORY, "d")
    assert second.type == EntryType.REGULAR


def test_signed_checksums_are_taken() -> None:
    raw = archive([(b"\xe9".decode("utf-8", "surrogateescape"), FILE, b"")], tarfile.GNU_FORMAT)
    block = bytearray(raw[:512])
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + sum(block[156:]) + 256 - 256)
    assert len(scanned(bytes(block) + raw[512:])) == 1


def test_a_link_with_a_size_has_no_data() -> None:
    raw = patched(archive([("a", LINK, "b"), ("c", FILE, b"x")]), 124, b"00000001000\0")
    first, second = scanned(raw)
    assert (first.size, first.stored) == (0, 0)
    assert second.path == "c"


def test_a_global_header_is_read_and_not_applied() -> None:
    buffer = io.BytesIO()
    headers = {"path": "other", "size": "5", "comment": "a commit"}
    with tarfile.open(
        fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers=headers
    ) as t:
        info, content = member("a", FILE, b"x" * 1000)
        t.addfile(info, io.BytesIO(content))
    [header] = scanned(buffer.getvalue())
    assert (header.path, header.size) == ("a", 1000)
    assert scanned(buffer.getvalue()[:1024]) == []


def pax(records: dict[str, bytes]) -> bytes:
    data = b""
    for key, value in records.items():
        length = len(key) + len(value) + 3
        length += len(str(length + len(str(length))))
        data += b"%d %s=%s\n" % (length, key.encode(), value)
    raw = archive([("x", FILE, data)])
    return patched(raw, 156, b"x")[: 512 + len(data) + -len(data) % 512]


@pytest.mark.parametrize(
    "records",
    [
        {"GNU.sparse.major": b"1", "GNU.sparse.minor": b"0", "GNU.sparse.name": b"real",
         "GNU.sparse.realsize": b"1048576"},
        {"GNU.sparse.size": b"1048576", "GNU.sparse.numblocks": b"1", "GNU.sparse.offset": b"0",
         "GNU.sparse.numbytes": b"9", "path": b"real"},
        {"GNU.sparse.size": b"1048576", "GNU.sparse.map": b"0,9", "GNU.sparse.name": b"real"},
    ],
)  # fmt: skip
def test_pax_sparse(records: dict[str, bytes]) -> None:
    raw = pax(records) + archive([("GNUSparseFile.0/real", FILE, b"x" * 600), ("b", FILE, b"")])
    header, following = scanned(raw)
    assert (header.path, header.size, header.stored) == ("real", 1 << 20, 600)
    assert header.sparse
    assert following.path == "b"
    assert not following.sparse


@pytest.mark.parametrize("maps", [0, 1, 3])
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_gnu_sparse(maps: int, size: int) -> None:
    raw = archive([("s", FILE, b"x" * 600), ("b", FILE, b"y")], tarfile.GNU_FORMAT)
    raw = patched(raw, 156, b"S")
    raw = patched(raw, 482, bytes([maps > 0]) + b"00004000000\0")
    blocks = b"".join(bytes(504) + bytes([n < maps - 1]) + bytes(7) for n in range(maps))
    header, following = scanned(raw[:512] + blocks + raw[512:], size)
    assert (header.type, header.size, header.stored) == (EntryType.GNU_SPARSE, 1 << 20, 600)
    assert header.offset == 512 * (1 + maps)
    assert following.path == "b"


def test_pax_size_beats_the_header() -> None:
    raw = pax({"size": b"600"}) + patched(archive([("a", FILE, b"x" * 600)]), 124, bytes(12))
    [header] = scanned(raw)
    assert header.stored == 600


def test_an_empty_pax_value_leaves_the_header_alone() -> None:
    [header] = scanned(pax({"path": b"", "uid": b""}) + archive([("a", FILE, b"")]))
    assert (header.path, header.uid) == ("a", 0)


ONE = archive([("a", FILE, b"x" * 1000)])


@pytest.mark.parametrize(
    "raw",
    [
        ONE[: 512 + 1000],  # the last padding is missing
        ONE[:1536],  # both zero blocks are
        ONE[:2048],  # one is
        ONE + b"\xff" * 700,
        ONE[:2560] + ONE,
    ],
)
@pytest.mark.parametrize("size", [100, 512, 1 << 20])
def test_endings_that_are_taken(raw: bytes, size: int) -> None:
    assert [header.path for header in scanned(raw, size)] == ["a"]


@pytest.mark.parametrize("raw", [b"", bytes(512), bytes(1024), bytes(10240)])
def test_empty_archives(raw: bytes) -> None:
    assert scanned(raw) == []


LONG = archive([("n" * 300, FILE, b"")], tarfile.GNU_FORMAT)


@pytest.mark.parametrize("raw", [ONE[:300], ONE[:512], ONE[:900], ONE[:1511], LONG[:1024]])
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_truncated_archives_are_refused(raw: bytes, size: int) -> None:
    with pytest.raises(InvalidLayer, match=r"^unexpected EOF$"):
        scanned(raw, size)


@pytest.mark.parametrize(
    "raw",
    [
        ONE[:100] + b"9" + ONE[101:],
        patched(ONE, 124, b"\xff" * 12),
        patched(ONE, 124, b"0x10\0\0\0\0\0\0\0\0"),
        patched(ONE, 124, b"\x80" + b"\xff" * 11),
        patched(ONE, 100, b"zzzzzzz\0"),
        patched(ONE, 136, b"-0000000001\0"),
        bytes(512) + ONE,
        b"g" * 3000,
        pax({"size": b"-5"}) + ONE,
        pax({"size": b"99999999999999999999"}) + ONE,
        pax({"GNU.sparse.size": b"-5"}) + ONE,
        pax({"mtime": b"now"}) + ONE,
        patched(pax({"path": b"abc"}), 124, b"00000000003\0") + ONE,
    ],
)
def test_broken_headers_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidLayer) as caught:
        scanned(raw)
    assert str(caught.value) == "archive/tar: invalid tar header"
    assert len(caught.value.__notes__) == 1


@pytest.mark.parametrize("size", [b"77777777777\0", b"\x80\0\0\0\x7f" + b"\xff" * 7])
def test_absurd_sizes_end_as_truncation(size: bytes) -> None:
    with pytest.raises(InvalidLayer, match="unexpected EOF"):
        scanned(patched(ONE, 124, size))


@pytest.mark.parametrize("type", [b"L", b"K", b"x", b"g"])
def test_extension_headers_are_bounded(type: bytes) -> None:
    raw = patched(ONE, 156, type)
    with pytest.raises(InvalidLayer, match="invalid tar header"):
        TarScanner(lambda _header: False).feed(
            patched(raw, 124, b"%011o\0" % (MAX_EXTENSION + 1))[:512]
        )
    TarScanner(lambda _header: False).feed(patched(raw, 124, b"%011o\0" % MAX_EXTENSION)[:512])


@pytest.mark.parametrize("name", ["../a", "..", "d/../../a", "/../a", "n/" * 70 + "../" * 71 + "a"])
@pytest.mark.parametrize("format", FORMATS)
def test_paths_that_lead_out_are_refused(name: str, format: int) -> None:
    if format == tarfile.USTAR_FORMAT and len(name) > 250:
        return
    with pytest.raises(InvalidLayer, match="outside of the archive"):
        scanned(archive([(name, FILE, b"x")], format))


def test_hard_links_that_lead_out_are_refused() -> None:
    with pytest.raises(InvalidLayer, match=r'invalid hardlink "b" -> "\.\./etc/passwd"'):
        scanned(archive([("b", LINK, "../etc/passwd")]))


def test_symbolic_links_may_lead_anywhere() -> None:
    first, second = scanned(archive([("a", SYMLINK, "../../etc"), ("b", SYMLINK, "/./x//")]))
    assert (first.link, second.link) == ("../../etc", "/./x//")


@pytest.mark.parametrize("entry", [("n" * 5000, FILE, b""), ("s", SYMLINK, "t" * 5000)])
def test_endless_names_are_refused(entry: tuple[str, bytes, bytes | str]) -> None:
    with pytest.raises(InvalidLayer, match="file name too long") as caught:
        scanned(archive([entry]))
    assert len(str(caught.value)) < 1000


def test_the_caller_chooses_the_error() -> None:
    scanner = TarScanner(lambda _header: False, error=InvalidArchive)
    with pytest.raises(InvalidArchive):
        scanner.feed(b"x" * 512)


@settings(max_examples=300)
@given(st.data())
def test_any_damage_ends_in_a_result_or_the_error(data: st.DataObject) -> None:
    raw = bytearray(
        archive(
            [("a", FILE, b"x" * 700), ("n" * 200, SYMLINK, "é" * 120), ("d", DIRECTORY, b"")],
            data.draw(st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])),
        )
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, 5000))
        raw[at] = data.draw(st.integers(0, 255))
    blocks = [bytes(raw[at : at + 512]) for at in range(0, len(raw), 512)]
    if data.draw(st.booleans()):
        blocks = [patched(block, 0, block[:1]) for block in blocks]
    whole = b"".join(blocks)
    results = []
    for size in (1 << 20, data.draw(st.integers(1, 700))):
        try:
            results.append(repr(scanned(whole, size)))
        except InvalidLayer as error:
            results.append(str(error))
    assert results[0] == results[1]
