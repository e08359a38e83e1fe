from collections.abc import Iterable

import pytest

from lamina.errors import InvalidLayer
from lamina.layers.footprint import Footprint, FootprintLimits
from lamina.layers.tarheader import TarHeader
from lamina.layers.tarstream import TarScanner
from tests.unit.layers.archives import DIRECTORY, FIFO, FILE, LINK, SYMLINK, Entry, archive

X = b"x" * 1000
Y = b"y" * 300


def footprint(entries: Iterable[Entry], limits: FootprintLimits | None = None) -> Footprint:
    result = Footprint(limits)

    def add(header: TarHeader) -> bool:
        result.add(header)
        return False

    scanner = TarScanner(add)
    scanner.feed(archive(entries))
    scanner.close()
    return result


# What `docker import` and `docker image inspect` of dockerd 20.10 on overlay2 say of the same tar.
@pytest.mark.parametrize(
    ("entries", "size"),
    [
        ([], 0),
        ([("a", FILE, X)], 1000),
        ([("/a", FILE, X)], 1000),
        ([("x/y/z", FILE, X)], 1000),
        ([(".", DIRECTORY, b""), ("./a", FILE, X)], 1000),
        ([("d", DIRECTORY, b""), ("d/a", FILE, X)], 1000),
        ([("p", FIFO, b"")], 0),
        ([("s", SYMLINK, "target12")], 8),
        ([("s", SYMLINK, "/etc/passwd")], 11),
        ([("s", SYMLINK, "../../etc/passwd")], 16),
        ([("a", FILE, X), ("b", LINK, "a")], 1000),
        ([("a", FILE, X), ("b", LINK, "/a")], 1000),
        ([("a", FILE, X), ("b", LINK, "a"), ("c", LINK, "b")], 1000),
        ([("s", SYMLINK, "abc"), ("h", LINK, "s")], 3),
        ([(".wh.a", FILE, b"")], 0),
        ([(".wh.a", FILE, b"123")], 0),
        ([(".wh.a", FILE, b""), ("a", FILE, X)], 1000),
        ([("d", DIRECTORY, b""), ("d/a", FILE, X), ("d/.wh..wh..opq", FILE, b"")], 1000),
        ([("d", DIRECTORY, b""), ("d/.wh..wh..opq", FILE, b""), ("d/a", FILE, X)], 1000),
        ([(".wh..wh.foo", FILE, X)], 0),
        ([(".wh..wh.plnk", DIRECTORY, b""), (".wh..wh.plnk/1.2", FILE, X)], 1000),
        (
            [
                (".wh..wh.plnk", DIRECTORY, b""),
                (".wh..wh.plnk/1.2", FILE, X),
                ("x", LINK, ".wh..wh.plnk/1.2"),
            ],
            1000,
        ),
    ],
)
def test_total_is_what_a_dockerd_shows(entries: list[Entry], size: int) -> None:
    assert footprint(entries).total == size


@pytest.mark.parametrize(
    ("entries", "size"),
    [
        ([("a", FILE, X), ("a", FILE, Y)], 300),
        ([("a", FILE, Y), ("./a", FILE, X)], 1000),
        ([("a", FILE, X), ("a", DIRECTORY, b"")], 0),
        ([("s", SYMLINK, "abc"), ("s", FILE, X)], 1000),
        ([("a", FILE, X), ("b", LINK, "a"), ("a", FILE, Y)], 1300),
        ([("a", FILE, X), ("b", LINK, "a"), ("a", FILE, Y), ("b", FILE, b"1234567")], 307),
        ([("d", DIRECTORY, b""), ("d/x", FILE, X), ("d", DIRECTORY, b"")], 1000),
        ([("d", DIRECTORY, b""), ("d/x", FILE, X), ("d", FILE, Y)], 300),
        ([("d", DIRECTORY, b""), ("d/x", FILE, X), ("d", SYMLINK, "other")], 5),
        ([("d", DIRECTORY, b""), ("d/x", FILE, X), ("e", LINK, "d/x"), ("d", FILE, Y)], 1300),
        (
            [
                ("d", DIRECTORY, b""),
                ("d/x", FILE, X),
                ("d", FILE, Y),
                ("d", DIRECTORY, b""),
                ("d/z", FILE, b"123"),
            ],
            3,
        ),
    ],
)
def test_the_last_of_several_entries_counts(entries: list[Entry], size: int) -> None:
    assert footprint(entries).total == size


def test_a_target_is_measured_in_bytes() -> None:
    assert footprint([("s", SYMLINK, "é")]).total == 2


@pytest.mark.parametrize("target", ["s/a", "t/a", "u/../s/a"])
def test_a_hard_link_may_lead_through_symbolic_links(target: str) -> None:
    entries: list[Entry] = [
        ("s", SYMLINK, "d"),
        ("t", SYMLINK, "/e/../s"),
        ("u", DIRECTORY, b""),
        ("e", DIRECTORY, b""),
        ("d/a", FILE, X),
        ("b", LINK, target),
    ]
    assert footprint(entries).total == 1000 + 1 + 7


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([("b", LINK, "zz")], "link /zz /b: no such file or directory"),
        ([("b", LINK, "a"), ("a", FILE, X)], "link /a /b: no such file or directory"),
        ([("a", FILE, X), ("a", LINK, "a")], "link /a /a: no such file or directory"),
        ([("s", SYMLINK, "d"), ("b", LINK, "s/a")], "link /s/a /b: no such file or directory"),
        ([("s", SYMLINK, "s"), ("b", LINK, "s/a")], "link /s/a: too many levels of symbolic links"),
        ([("c", b"7", b"")], "unhandled tar header type 55"),
        ([("c", b"Z", b"")], "unhandled tar header type 90"),
    ],
)
def test_what_a_dockerd_refuses(entries: list[Entry], words: str) -> None:
    with pytest.raises(InvalidLayer) as caught:
        footprint(entries)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    "limits",
    [FootprintLimits(entries=1), FootprintLimits(names=3), FootprintLimits(unpacked=1299)],
)
def test_limits(limits: FootprintLimits) -> None:
    entries: list[Entry] = [("aa", FILE, X), ("bb", FILE, Y)]
    assert footprint(entries, FootprintLimits(entries=2, names=4, unpacked=1300)).total == 1300
    with pytest.raises(InvalidLayer):
        footprint(entries, limits)
