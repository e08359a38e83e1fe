"""Stories of requests that change an engine, told to both servers step by step.

After each step the engines are also asked for all their images, so a story needs no questions of
its own about what became of them.
"""

import gzip
import json
import lzma
from bz2 import compress as bzip2
from collections.abc import Sequence

from tests.conformance.stock import (
    BASE,
    DANGLING,
    EMPTY,
    HISTORY_COMMENT,
    LABELLED,
    MIDDLE,
    PARENT,
    PLAIN,
    SECOND,
    THIRD,
    at,
    family_archive,
)
from tests.conformance.wire import TAR, Ask, filtered, q
from tests.real.archives import docker_archive, legacy_archive, oci_layout
from tests.real.images import Entry, Image, file, layer, make_image, symlink, tar_of

Story = Sequence[Ask]


def archive(*images: tuple[Image, Sequence[str]], compression: str = "") -> bytes:
    return tar_of(docker_archive(*images, compression=compression))


def load(body: bytes, query: str = "?quiet=0") -> Ask:
    return Ask("POST", f"/images/load{query}", body, TAR)


def load_one(image: Image, *names: str) -> Ask:
    return load(archive((image, names)), "?quiet=1")


def delete(name: str, **query: object) -> Ask:
    return Ask("DELETE", f"/images/{name}{q(**query) if query else ''}")


def tag(name: str, repo: str, tag: str | None = None) -> Ask:
    return Ask("POST", f"/images/{name}/tag{q(repo=repo, **({'tag': tag} if tag else {}))}")


def prune(**values: object) -> Ask:
    return Ask("POST", f"/images/prune{filtered(**values) if values else ''}")


def image_import(body: bytes, **query: object) -> Ask:
    return Ask("POST", f"/images/create{q(fromSrc='-', **query)}", body)


def short(image: Image) -> str:
    return image.id.removeprefix("sha256:")[:12]


def without_manifest_files(image: Image, name: str, *left_out: int) -> bytes:
    """An archive whose manifest names layers that it does not contain."""
    files = docker_archive((image, [name]), extra=False)
    [entry] = json.loads(files["manifest.json"])
    for number in left_out:
        del files[entry["Layers"][number]]
    return tar_of(files)


def with_links(image: Image, name: str) -> bytes:
    """HISTORY_COMMENT as `docker save` writes it: the second of two equal layers is a symlink."""
    files = docker_archive((image, [name]), extra=False)
    [entry] = json.loads(files["manifest.json"])
    first, second = entry["Layers"]
    entries: list[Entry] = [
        symlink(path, f"../{first}") if path == second else file(path, data)
        for path, data in files.items()
    ]
    return layer(*entries)


def in_reverse(files: dict[str, bytes], prefix: str = "") -> bytes:
    return tar_of({prefix + name: files[name] for name in reversed(files)})


PLAIN_ARCHIVE = archive((PLAIN, ["a:1"]))

LOADS: dict[str, Story] = {
    "quiet": [load(PLAIN_ARCHIVE, "?quiet=1")],
    "with progress": [load(PLAIN_ARCHIVE, "?quiet=0")],
    "quiet by default": [load(PLAIN_ARCHIVE, "")],
    "quiet, any word": [load(PLAIN_ARCHIVE, "?quiet=banana")],
    "no content type": [Ask("POST", "/images/load?quiet=1", PLAIN_ARCHIVE)],
    "any content type": [Ask("POST", "/images/load", PLAIN_ARCHIVE, {"Content-Type": "text/html"})],
    "twice": [load(PLAIN_ARCHIVE), load(PLAIN_ARCHIVE)],
    "several names": [load(archive((PLAIN, ["b:2", "a:1", "c.example/d/e:f"])))],
    "no name": [load(archive((PLAIN, [])))],
    "several images": [load(archive((PLAIN, ["a:1"]), (LABELLED, ["b:1"]), (DANGLING, ["c:1"])))],
    "several without names": [load(archive((PLAIN, []), (LABELLED, [])))],
    "a name on the first only": [load(archive((PLAIN, ["a:1"]), (LABELLED, [])))],
    "a name on the last only": [load(archive((PLAIN, []), (LABELLED, ["a:1"])))],
    "one name for two": [load(archive((PLAIN, ["a:1"]), (LABELLED, ["a:1"])))],
    "the same image twice": [load(archive((PLAIN, ["a:1"]), (PLAIN, ["a:2"])))],
    "a name moves": [load_one(PLAIN, "a:1"), load_one(LABELLED, "a:1")],
    "a name moves, aloud": [
        load_one(PLAIN, "a:1"),
        load_one(DANGLING, "b:1"),
        load(archive((LABELLED, ["a:1", "b:1", "c:1"]))),
    ],
    "a name moves back": [load_one(x, "a:1") for x in (PLAIN, LABELLED, PLAIN)],
    "canonical name": [load_one(PLAIN, "docker.io/library/a:1")],
    "gzip": [load(gzip.compress(PLAIN_ARCHIVE))],
    "bzip2": [load(bzip2(PLAIN_ARCHIVE))],
    "xz": [load(lzma.compress(PLAIN_ARCHIVE))],
    **{
        f"{kind} layers": [load(archive((PLAIN, ["a:1"]), compression=kind))]
        for kind in ("gzip", "bzip2", "xz")
    },
    "without the old files": [load(tar_of(docker_archive((PLAIN, ["a:1"]), extra=False)))],
    "manifest first": [load(in_reverse(docker_archive((PLAIN, ["a:1"]), extra=False)))],
    "names begin with ./": [load(in_reverse(docker_archive((PLAIN, ["a:1"])), "./"))],
    "the oldest form": [load(tar_of(legacy_archive((PLAIN, ["a:1"]))))],
    "the oldest form, two images": [
        load(tar_of(legacy_archive((PLAIN, ["a:1", "a:2"]), (LABELLED, ["b:1"]))))
    ],
    "both forms at once": [
        load(tar_of(oci_layout((PLAIN, ["a:1"]), compression="", docker=True, manifest_json=True)))
    ],
    "files that belong to nobody": [
        load(tar_of({"README": b"read me", **docker_archive((PLAIN, ["a:1"])), "x/y": b"z" * 3000}))
    ],
    "a layer without entries": [load(archive((make_image(EMPTY, BASE, created=at(8)), ["a:1"])))],
    "a layer of no bytes": [load(archive((make_image(BASE, b"", created=at(8)), ["a:1"])))],
    "a layer without its end": [load(archive((make_image(BASE[:4096], created=at(8)), ["a:1"])))],
    "bytes after a layer's end": [
        load(archive((make_image(BASE + b"\0" * 5000, created=at(8)), ["a:1"])))
    ],
    "equal layers": [load(archive((HISTORY_COMMENT, ["a:1"])))],
    "equal layers as links": [load(with_links(HISTORY_COMMENT, "a:1"))],
    "layers that are here": [load_one(PLAIN, "a:1"), load(archive((LABELLED, ["b:1"])))],
    "layers left out that are here": [
        load_one(PARENT, "a:1"),
        load(without_manifest_files(MIDDLE, "b:1", 0)),
    ],
    "a family": [load(family_archive())],
    "a family with names": [load(family_archive(names={"parent": ["p:1"], "middle": ["m:1"]}))],
    "a family, then again": [load(family_archive()), load(family_archive())],
}

_FAMILY = load(family_archive(), "?quiet=1")
_TWO_REPOSITORIES = load_one(PLAIN, "a:1", "b:1")

DELETES: dict[str, Story] = {
    "the only name": [load_one(PLAIN, "a:1"), delete("a:1")],
    "latest": [load_one(PLAIN, "a:latest"), delete("a")],
    "one of two names": [load_one(PLAIN, "a:1", "a:2"), delete("a:1"), delete("a:2")],
    "canonical name": [load_one(PLAIN, "a:1"), delete("docker.io/library/a:1")],
    "a repository without latest": [load_one(PLAIN, "a:1"), delete("a")],
    "by ID": [load_one(PLAIN, "a:1"), delete(PLAIN.id)],
    "by short ID": [load_one(PLAIN, "a:1"), delete(short(PLAIN))],
    "by ID, several tags of one repository": [load_one(PLAIN, "a:1", "a:2"), delete(PLAIN.id)],
    "by ID, several repositories": [_TWO_REPOSITORIES, delete(PLAIN.id), delete(short(PLAIN))],
    "by ID with force": [_TWO_REPOSITORIES, delete(PLAIN.id, force=1)],
    "by short ID with force": [_TWO_REPOSITORIES, delete(short(PLAIN), force="true")],
    "by name with force": [_TWO_REPOSITORIES, delete("a:1", force=1)],
    "without a name": [load_one(DANGLING), delete(DANGLING.id)],
    "twice": [load_one(PLAIN, "a:1"), delete("a:1"), delete("a:1")],
    "layers that others use": [load_one(PLAIN, "a:1"), load_one(LABELLED, "b:1"), delete("a:1")],
    "layers below others": [load_one(PARENT, "a:1"), load_one(MIDDLE, "b:1"), delete("a:1")],
    "layers on top of others": [load_one(PARENT, "a:1"), load_one(MIDDLE, "b:1"), delete("b:1")],
    "equal layers": [load_one(HISTORY_COMMENT, "a:1"), delete("a:1")],
    "a family": [_FAMILY, delete("child:1")],
    "a family without pruning": [_FAMILY, delete("child:1", noprune=1), delete(MIDDLE.id)],
    "a parent": [_FAMILY, delete(PARENT.id), delete(MIDDLE.id), delete(short(PARENT), force=1)],
    "a parent by its name": [
        load(family_archive(names={"parent": ["p:1"]}), "?quiet=1"),
        delete("p:1"),
        delete("child:1"),
    ],
    "a family whose parent has a name": [
        load(family_archive(names={"middle": ["m:1"]}), "?quiet=1"),
        delete("child:1"),
        delete("m:1"),
    ],
    "a name that moved away": [
        load_one(PLAIN, "a:1"),
        load_one(LABELLED, "a:1"),
        delete("a:1"),
        delete(PLAIN.id),
    ],
    "words for no": [load_one(PLAIN, "a:1", "b:1"), delete(PLAIN.id, force="no", noprune="none")],
}

TAGS: dict[str, Story] = {
    "latest": [load_one(PLAIN, "a:1"), tag("a:1", "b")],
    "a tag": [load_one(PLAIN, "a:1"), tag("a:1", "b", "2")],
    "a tag within the name": [load_one(PLAIN, "a:1"), tag("a:1", "b:2")],
    "a tag in both": [load_one(PLAIN, "a:1"), tag("a:1", "b:2", "3")],
    "a registry": [load_one(PLAIN, "a:1"), tag("a:1", "r.example:5000/x/y", "z")],
    "by ID": [load_one(PLAIN, "a:1"), tag(PLAIN.id, "b"), tag(short(PLAIN), "c")],
    "without a name before": [load_one(DANGLING), tag(DANGLING.id, "b", "1")],
    "again": [load_one(PLAIN, "a:1"), tag("a:1", "a", "1"), tag("a:1", "docker.io/library/a", "1")],
    "moves": [
        load_one(PLAIN, "a:1"),
        load_one(LABELLED, "b:1"),
        tag("b:1", "a", "1"),
        tag(PLAIN.id, "b", "1"),
    ],
}

_MANY = [
    load_one(PLAIN, "a:1"),
    load_one(LABELLED),
    load_one(DANGLING),
    load_one(make_image(BASE, SECOND, THIRD, created="2020-01-01T00:00:00Z")),
]

PRUNES: dict[str, Story] = {
    "nothing there": [prune()],
    "nothing to prune": [load_one(PLAIN, "a:1"), prune()],
    "one": [load_one(DANGLING), prune(), prune()],
    "one by name": [load_one(PLAIN, "a:1"), prune(dangling="false")],
    "one with two names": [load_one(PLAIN, "a:1", "b:1"), prune(dangling="false")],
    "dangling": [load_one(PLAIN, "a:1"), load_one(LABELLED), prune(dangling="true")],
    "dangling, as 1": [load_one(PLAIN, "a:1"), load_one(LABELLED), prune(dangling="1")],
    "by label": [*_MANY, prune(label="colour=blue")],
    "by any value of a label": [load_one(PLAIN), load_one(LABELLED), prune(label="colour")],
    "but for a label": [load_one(PLAIN), load_one(LABELLED), prune(not_label="colour")],
    "but for a label's value": [
        load_one(LABELLED),
        load_one(DANGLING, "a:1"),
        prune(dangling="false", not_label="colour=blue"),
    ],
    "until a date": [*_MANY, prune(until="2022-06-01")],
    "until a time": [*_MANY, prune(until="2022-06-01T12:00:00Z")],
    "until a second": [*_MANY, prune(until="1600000000")],
    "until a duration ago": [*_MANY, prune(until="24h")],
    "until before all": [*_MANY, prune(until="2010-01-01")],
    "a family": [_FAMILY, delete("child:1", noprune=1), prune()],
    "a family in use": [_FAMILY, prune()],
    "shared layers": [load_one(PARENT, "a:1"), load_one(MIDDLE), prune()],
    "what a moved name left": [load_one(PLAIN, "a:1"), load_one(LABELLED, "a:1"), prune()],
    "filters in the other form": [
        load_one(PLAIN, "a:1"),
        load_one(DANGLING),
        Ask("POST", "/images/prune" + q(filters={"dangling": {"false": True}})),
    ],
}

CHANGES = [
    'CMD ["a", "b c"]',
    "CMD a b",
    'ENTRYPOINT ["x"]',
    "ENTRYPOINT x y",
    "ENV A=1 B=two",
    "ENV A one word",
    'ENV A="quoted value"',
    "EXPOSE 80",
    "EXPOSE 53/udp 8000-8002",
    "LABEL a=b c='d e'",
    "ONBUILD RUN true",
    "USER a:b",
    "VOLUME /a /b",
    'VOLUME ["/a b"]',
    "WORKDIR /a",
    "HEALTHCHECK NONE",
    "HEALTHCHECK --interval=5s --timeout=3s --retries=2 CMD exit 0",
    'HEALTHCHECK CMD ["x", "y"]',
    "env A=1",
    "# a comment\nCMD x",
    "ENV A=1\nENV B=2",
    "ENV A=1 \\\n B=2",
]

IMPORTS: dict[str, Story] = {
    "no name": [image_import(BASE)],
    "a name": [image_import(BASE, repo="a")],
    "a tag": [image_import(BASE, repo="a", tag="1")],
    "a tag within the name": [image_import(BASE, repo="a:1")],
    "a registry": [image_import(BASE, repo="r.example:5000/x/y", tag="z")],
    "a tag alone": [image_import(BASE, tag="1")],
    "a message": [image_import(BASE, repo="a", message="why <&> it is")],
    # Of a platform 20.10 takes only the OS.
    "only an OS": [image_import(BASE, repo="a", platform="linux")],
    "a name moves": [image_import(BASE, repo="a"), image_import(SECOND, repo="a")],
    "gzip": [image_import(gzip.compress(BASE), repo="a")],
    "bzip2": [image_import(bzip2(BASE), repo="a")],
    "xz": [image_import(lzma.compress(BASE), repo="a")],
    "no entries": [image_import(EMPTY, repo="a")],
    "no bytes": [image_import(b"", repo="a")],
    "no body": [Ask("POST", "/images/create?fromSrc=-&repo=a")],
    "a layer that is here": [load_one(PARENT, "a:1"), image_import(THIRD, repo="b")],
    "a JSON body": [
        Ask("POST", "/images/create?fromSrc=-&repo=a", BASE, {"Content-Type": "application/json"})
    ],
    "all changes": [image_import(BASE, repo="a", changes=CHANGES)],
    **{f"change {c.splitlines()[0]}": [image_import(BASE, repo="a", changes=c)] for c in CHANGES},
    "changes in order": [image_import(BASE, repo="a", changes=["ENV A=1", "ENV A=2", "CMD x"])],
}
