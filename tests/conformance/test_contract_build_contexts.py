"""Contexts that nobody would write by hand, on three backends: what is built, or what is said."""

import bz2
import io
import lzma
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.conformance.builds import Ids, top_layers, transcript, with_busybox
from tests.conformance.engines import Backend, EngineApi
from tests.real.images import Entry, directory, file, gzipped, hard_link, layer, symlink

FROM = "FROM busybox\n"
DOCKERFILE = file("Dockerfile", f"{FROM}COPY . /x/\n")

CONTEXTS: Mapping[str, Sequence[Entry]] = {
    "a path twice": (file("a", "1"), file("a", "22")),
    "a directory that becomes a file": (directory("a"), file("a/b", "1"), file("a", "2")),
    "a file that becomes a directory": (file("a", "2"), directory("a"), file("a/b", "1")),
    "a directory twice": (directory("a", 0o700), file("a/b", "1"), directory("a", 0o755)),
    "no directories": (file("a/b/c", "1"), file("a/d", "2")),
    "an absolute path": (file("/a/b", "1"),),
    "dots in a path": (file("./a/./b", "1"), file("a/../c", "2")),
    "a path out": (file("../a", "1"),),
    "a path far out": (file("a/../../b", "1"),),
    "a hard link to nothing": (hard_link("a", "b"),),
    "a hard link out": (hard_link("a", "../../etc/passwd"),),
    "a link out": (symlink("a", "../../../etc/passwd"), symlink("b", "/etc")),
    "a link to itself": (symlink("a", "a"),),
    "a file through a link out": (symlink("a", "/tmp"), file("a/b", "1")),
    "a file through a link inside": (directory("d"), symlink("a", "d"), file("a/b", "1")),
    "a fifo": (Entry("a", kind=tarfile.FIFOTYPE),),
    "odd modes": (file("a", "1", 0o4755), file("b", "2", 0o000), directory("d", 0o1777)),
    "attributes": (Entry("b", b"1", pax={"SCHILY.xattr.trusted.color": "blue"}),),
    "a file below a file": (file("a", "1"), file("a/b", "1")),
    "a directory through a link": (
        directory("d"),
        symlink("a", "d"),
        directory("a/e"),
        file("a/e/f"),
    ),
    "links to each other": (symlink("a", "b"), symlink("b", "a"), file("a/c", "1")),
    "owners": (Entry("a", b"1", uid=12345, gid=54321), Entry("d", kind=tarfile.DIRTYPE, uid=7)),
    "odd names": (file("sp ace", "1"), file("new\nline", "2"), file("ü", "3"), file("[a]*", "4")),
    "a long name": (file("n" * 255, "1"), file("/".join(["d" * 100] * 10), "2")),
    "too long a name": (file("n" * 256, "1"),),
    "an old file": (Entry("a", b"1", mtime=0),),
}

USERS = {
    "huge": "99999999999999999999999",
    "negative": "-5",
    "none": "abc",
    "plus": "+7",
    "wide": "4294967297",
    "all": "4294967295",
    "empty": "",
    "blank": " 8",
    "  led": "9",
    "#comment": "10",
    "vt\x0btab": "11",
    "": "12",
}
"""Numbers of users, by their names, that no program would give."""

PASSWD = file("passwd", "".join(f"{n}:x:{u}:1::\n" for n, u in USERS.items()) + "short:x\n")
GROUP = file("group", "".join(f"{n}:x:{u}:\n" for n, u in USERS.items()) + "short:x\n")


SOURCES: Mapping[str, tuple[Sequence[Entry], str]] = {
    "a link out": ((symlink("a", "../../../etc/passwd"),), "COPY a /x/"),
    "a link to the root": ((symlink("a", "/"), file("b", "1")), "COPY a /x/"),
    "below a link out": ((symlink("a", "../../../etc"),), "COPY a/passwd /x/"),
    "below a link inside": ((directory("d"), file("d/f", "1"), symlink("a", "d")), "COPY a/f /x/"),
    "a link to itself": ((symlink("a", "a"),), "COPY a /x/"),
    "below a file": ((file("a", "1"),), "COPY a/b /x/"),
    "a file with a slash": ((file("a", "1"),), "COPY a/ /x/"),
    "a bad pattern": ((file("a", "1"),), "COPY [a /x/"),
    "a pattern of links": ((symlink("a1", "b"), file("b", "1")), "COPY a* /x/"),
    "a pattern below a link": (
        (directory("d"), file("d/f", "1"), symlink("a", "d")),
        "COPY a/* /x/",
    ),
    "an escaped star": ((file("a*", "1"), file("ab", "2")), "COPY a\\* /x/"),
    "a file as a directory": ((file("a", "1"),), "COPY a /etc/passwd/"),
    "a directory onto a file": ((directory("d"), file("d/f", "1")), "COPY d /etc/passwd"),
    "a file below a file": ((file("a", "1"),), "COPY a /etc/passwd/x"),
    "a file onto a directory": ((file("a", "1"),), "COPY a /etc"),
    "a dot at the end": ((file("a", "1"),), "COPY a /x/."),
    "a URL": ((file("a", "1"),), "COPY http://127.0.0.1/a /x/"),
    "a URL that nobody serves": ((file("a", "1"),), "ADD http://127.0.0.1:1/a /x/"),
    "a URL of another kind": ((file("a", "1"),), "ADD ftp://127.0.0.1/a /x/"),
    "outside of an image": ((file("a", "1"),), "COPY --from=busybox ../etc/passwd /x"),
    "a directory, then a file": ((file("a/n/f", "1"), file("b/n", "2")), "COPY a b /x/"),
    "a file, then a directory": ((file("a/n", "1"), file("b/n/f", "2")), "COPY a b /x/"),
    "a directory, then a link": ((file("a/n/f", "1"), symlink("b/n", "/etc")), "COPY a b /x/"),
    "a link, then a directory": ((symlink("a/n", "/etc"), file("b/n/f", "2")), "COPY a b /x/"),
    **{
        f"an owner by the name {name!r}": (
            (PASSWD, GROUP, file("a", "1")),
            f"COPY passwd group /etc/\nCOPY --chown={name} a /x",
        )
        for name in (*map(str.strip, USERS), "vt", "tab", "short", "plus:wide")
    },
    "a volume by another path": ((), 'VOLUME ["../a/../b"]\nRUN [ ! -e /a ] && ls -d /b'),
    "a NUL in a directory": ((), "WORKDIR /a\0b"),
    "three owners": ((file("a", "1"),), "COPY --chown=1:2:3 a /x"),
    "the root": ((file("a", "1"),), "COPY a /"),
    "nowhere": ((file("a", "1"),), 'COPY ["a", ""]'),
    "here": ((file("a", "1"),), "WORKDIR /w\nCOPY a ."),
    "up": ((file("a", "1"),), "WORKDIR /w\nCOPY a ../../../x"),
    "onto a link": ((file("a", "1"),), "RUN ln -s /etc/shadow2 /l\nCOPY a /l"),
    "onto a link to itself": ((file("a", "1"),), "RUN ln -s l /l\nCOPY a /l"),
    "into a link out": ((file("a", "1"),), "RUN ln -s ../../../tmp /l\nCOPY a /l/x"),
    "an archive onto files": (
        (file("t.tar", layer(directory("etc"), file("etc/passwd", "1"), symlink("l", "/x"))),),
        "ADD t.tar /",
    ),
    "an archive with a path out": ((file("t.tar", layer(file("../q", "1"))),), "ADD t.tar /x/"),
    "a broken archive": ((file("t.tar", layer(file("q", "1" * 2000))[:1024]),), "ADD t.tar /x/"),
    "a broken gzip": ((file("t.gz", gzipped(layer(file("q", "1")))[:-20]),), "ADD t.gz /x/"),
    "gzip of no tar": ((file("t.gz", gzipped(b"hello" * 500)),), "ADD t.gz /x/"),
    "no archive": ((file("t", "hello" * 500),), "ADD t /x/"),
    "an archive of a working directory": (
        (file("t.tar", layer(file("./a/b", "1"))),),
        "WORKDIR /w\nADD t.tar .",
    ),
}


DOCKERFILES: Mapping[str, tuple[Sequence[Entry], str]] = {
    "a usual one in small letters": ((file("dockerfile", FROM),), ""),
    "the usual one, in small letters": ((file("dockerfile", FROM),), "Dockerfile"),
    "another one in small letters": ((file("other", FROM),), "Other"),
    "both": ((file("dockerfile", "FROM nothing"), file("Dockerfile", FROM)), ""),
    "somewhere else": ((file("d/x", FROM),), "d/x"),
    "a link": ((file("d/x", FROM), symlink("Dockerfile", "d/x")), "Dockerfile"),
    "a link out": ((symlink("Dockerfile", "../../../../etc/passwd"),), "Dockerfile"),
    "a link to itself": ((symlink("Dockerfile", "Dockerfile"),), "Dockerfile"),
    "a directory": ((directory("Dockerfile"),), "Dockerfile"),
    "not there": ((file("x", FROM),), "y"),
    "none": ((file("x", FROM),), ""),
    "outside": ((file("Dockerfile", FROM),), "../Dockerfile"),
    "an absolute path": ((file("d/x", FROM),), "/d/x"),
    "a name that begins with dots": ((file("..x", FROM),), "..x"),
    "a path that begins with dots": ((file("..d/x", FROM),), "..d/x"),
    "a path in and out": ((file("d/x", FROM),), "d/../d/x"),
    "a path out and in": ((file("d/x", FROM),), "../d/x"),
    "below a file": ((file("d", FROM),), "d/x"),
    "a directory to ignore by": ((file("Dockerfile", FROM), directory(".dockerignore")), ""),
    "empty": ((file("Dockerfile", ""),), ""),
    "only a comment": ((file("Dockerfile", "# nothing\n"),), ""),
    "ignored": (
        (file("Dockerfile", f"{FROM}COPY . /x/"), file(".dockerignore", "Dockerfile\n.dock*")),
        "",
    ),
}


_PLACE = re.compile(r"/\S*(?:/merged/|docker-builder\d+/)|(?<=read )(?=Dockerfile)")
"""Where a dockerd keeps its files while it builds."""


async def test_contexts(backend: Backend) -> None:
    bodies = {name: layer(*entries, DOCKERFILE) for name, entries in CONTEXTS.items()}
    await backend.agrees(lambda api: _built(api, bodies))


async def test_sources(backend: Backend) -> None:
    bodies = {
        name: layer(*entries, file("Dockerfile", FROM + steps))
        for name, (entries, steps) in SOURCES.items()
    }
    await backend.agrees(lambda api: _built(api, bodies))


async def test_compressions(backend: Backend) -> None:
    tar = layer(file("a", "1"), DOCKERFILE)
    bodies = {name: _compressed(tar, name) for name in ("gzip", "bzip2", "xz")}
    await backend.agrees(lambda api: _built(api, bodies))


async def test_dockerfiles(backend: Backend) -> None:
    bodies = {name: layer(*entries) for name, (entries, _) in DOCKERFILES.items()}
    await backend.agrees(
        lambda api: _built(api, bodies, {n: d for n, (_, d) in DOCKERFILES.items()})
    )


TREE = (
    directory("d"),
    file("d/x", "x"),
    file("d/y", "y"),
    file("f", "f"),
    file("Dockerfile", f"{FROM}COPY d /d/\n"),
)


def _with(path: str, /, **changes: Any) -> Sequence[Entry]:  # noqa: ANN401 - fields of any type
    return [replace(one, **changes) if one.path == path else one for one in TREE]


CHANGED: Mapping[str, Sequence[Entry]] = {
    "first": TREE,
    "a time": _with("d/x", mtime=5),
    "a part of a second": _with("d/x", pax={"mtime": "5.5"}),
    "a content": _with("d/x", data=b"z"),
    "back again": TREE,
    "a mode": _with("d/x", mode=0o755),
    "an owner": _with("d/x", uid=4),
    "an owner's name": _with("d/x", pax={"uname": "joe"}),
    "an attribute": _with("d/x", pax={"SCHILY.xattr.user.a": "b"}),
    "another file": _with("f", data=b"z"),
    "a directory's mode": _with("d", mode=0o700),
    "a directory's time": _with("d", mtime=5),
    "the order": TREE[::-1],
    "a link": (*TREE, symlink("d/l", "x")),
    "a link elsewhere": (*TREE, symlink("d/l", "y")),
    "a name": _with("d/x", path="d/z"),
    "one less": [one for one in TREE if one.path != "d/y"],
}


async def test_what_the_cache_takes_for_the_same(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        await with_busybox(api)
        found = {}
        for name, entries in CHANGED.items():
            said, _ = await transcript(api, io.BytesIO(layer(*entries)), Ids(), {})
            found[name] = " ---> Using cache\n" in said
        return found

    await backend.agrees(scenario)


async def _built(
    api: EngineApi, bodies: Mapping[str, bytes], dockerfiles: Mapping[str, str] | None = None
) -> dict[str, object]:
    """What is said of each context, and the entries of the highest layer."""
    await with_busybox(api)
    found: dict[str, object] = {}
    for name, body in bodies.items():
        path = (dockerfiles or {}).get(name)
        parameters = {"nocache": True, **({"dockerfile": path} if path else {})}
        said, image_id = await transcript(api, io.BytesIO(body), Ids(), parameters)
        said[-1:] = [_PLACE.sub("/", line) for line in said[-1:]]
        found[name] = said, await top_layers(api, image_id, 1) if image_id else None
    return found


def _compressed(data: bytes, compression: str) -> bytes:
    if compression == "gzip":
        return gzipped(data)
    if compression == "bzip2":
        return bz2.compress(data)
    return lzma.compress(data)
