"""COPY, ADD and WORKDIR on three backends: messages, histories, and layers entry by entry."""

import json
import re
from dataclasses import replace

import pytest

from tests.conformance.builds import Ids, context_of, family, top_layers, transcript, with_busybox
from tests.conformance.engines import Backend, EngineApi
from tests.real.images import directory, file, gzipped, hard_link, layer, symlink

CONTEXT = (
    directory("d", 0o750),
    file("d/x", "x"),
    replace(file("d/y", "yy", 0o600), uid=5, gid=6),
    directory("d/s", 0o711),
    file("d/s/z", "z"),
    file("f", "F"),
    directory("h"),
    file("h/a", "x"),
    hard_link("h/b", "h/a"),
    symlink("h/l", "a"),
    symlink("h/nowhere", "/nowhere"),
    symlink("lf", "f"),
    symlink("ld", "d"),
    file("g[1]", "G"),
    file("a.tar", layer(file("in/tar", "T"))),
    file("a.tgz", gzipped(layer(replace(file("in/tgz", "T"), uid=7)))),
)

LAYERS = {
    "a file": ("COPY f /", 1),
    "into a new directory": ("COPY f /new/dir/", 1),
    "into a directory": ("COPY f /tmp", 1),
    "under a new name": ("COPY f /tmp/n", 1),
    "a directory": ("COPY d /e/", 1),
    "a directory into one": ("COPY d /tmp", 1),
    "a directory below a new one": ("COPY d /new/x", 1),
    "everything": ("COPY . /all", 1),
    "hard links": ("COPY h /h/\nCOPY h/b h/a /two/", 2),
    "links": ("COPY lf ld /links/", 1),
    "an owner": ("COPY --chown=3:4 d f /own/", 1),
    "an owner by name": ("COPY --chown=nobody:nogroup d/x /own/x", 1),
    "an owner by any number": ("COPY --chown=+7:4294967294 f /own/", 1),
    "half an owner": ("COPY --chown=-1:-5 d /own\nCOPY --chown=4294967295 d/y /own/y", 2),
    "a pattern": ("COPY d/* /glob/", 1),
    "a pattern that matches nothing": ("COPY d*/ f ../f* d//x* d/./x* /glob/", 1),
    "patterns": ("COPY [fg]* [d-f] /glob/", 1),
    "archives": ("ADD a.tar a.tgz f /add/", 1),
    "an archive": ("ADD a.tar /add", 1),
    "an archive copied": ("COPY a.tar /add", 1),
    "a working directory": ("WORKDIR /w/x\nCOPY f g* ./\nCOPY f .\nCOPY f sub/f2\nWORKDIR ..", 4),
    "links in the image": (
        "RUN ln -s /tmp /lnk && ln -s nowhere /dang\nCOPY f /lnk/q\nCOPY f /lnk\nCOPY f /dang/q",
        3,
    ),
    "over what is there": ("COPY d /e\nCOPY f /e/x\nCOPY d/s /e/s/\nCOPY h /e/", 4),
    "of an image": ("COPY --from=busybox /bin/busybox /bin/sh /etc /xx/", 1),
    "variables": ("ENV v=f w=/tmp\nCOPY ${v} $w/${v:-q}", 1),
    "an absolute path": ("COPY /f /x\nCOPY d/../f /x2", 2),
}

OTHER_HASHES = {"everything", "hard links", "of an image", "over what is there"}
"""Hashes that differ: dockerd's do not tell the content of a hard link, and where a link leads."""

_HASH = re.compile(r"(file|dir|multi):[0-9a-f]{64}")

STAGES = """FROM busybox AS one
RUN mkdir /o && echo 1 > /o/f && chown 77:78 /o /o/f && chmod 700 /o && ln -s f /o/l
FROM busybox
COPY --from=one /o /p
COPY --from=0 /o/f /q/
COPY --from=one --chown=5 /o/l /q/l
"""

MISTAKES = {
    "nothing like it": "COPY nope* /x/",
    "nothing but directories": "COPY */ /x/",
    "not there": "COPY f nope /x/",
    "not in the image": "COPY --from=busybox /nope /x",
    "several onto one": "COPY f d/x /x",
    "outside": "COPY ../f /x",
    "a working directory that is a file": "COPY f /w\nWORKDIR /w",
    "a group that is not there": "COPY --chown=nobody d/x /x",
    "a user that is not there": "COPY --chown=nosuch d/x /x",
    "a stage that is not there": "COPY --from=4 a /x",
}


@pytest.mark.parametrize("name", LAYERS)
async def test_layers(backend: Backend, name: str) -> None:
    steps, count = LAYERS[name]

    async def scenario(api: EngineApi) -> object:
        await with_busybox(api)
        ids = Ids()
        dockerfile = f"FROM busybox\n{steps}"
        first, image_id = await transcript(api, context_of(dockerfile, CONTEXT), ids, {})
        assert image_id, first
        again, same = await transcript(api, context_of(dockerfile, CONTEXT), ids, {})
        assert same == image_id
        layers = await top_layers(api, image_id, count)
        images = await family(api, image_id, ids)
        if name in OTHER_HASHES:
            images = json.loads(_HASH.sub(r"\1:…", json.dumps(images)))
        return first, layers, images, again

    await backend.agrees(scenario)


async def test_files_of_a_stage(backend: Backend) -> None:
    async def scenario(api: EngineApi) -> object:
        await with_busybox(api)
        ids = Ids()
        said, image_id = await transcript(api, context_of(STAGES, ()), ids, {})
        assert image_id, said
        return said, await top_layers(api, image_id, 3)

    await backend.agrees(scenario)


@pytest.mark.parametrize("name", MISTAKES)
async def test_mistakes(backend: Backend, name: str) -> None:
    async def scenario(api: EngineApi) -> object:
        await with_busybox(api)
        dockerfile = f"FROM busybox\n{MISTAKES[name]}"
        said, image_id = await transcript(api, context_of(dockerfile, CONTEXT), Ids(), {})
        assert not image_id
        return said

    await backend.agrees(scenario)
