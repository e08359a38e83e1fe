"""Dockerfiles that mean harm, or nothing: each is built or refused in words, and nothing stays."""

import asyncio
import contextlib
import time
from pathlib import Path

import pytest

from lamina.build.transcript import MAX_KEPT
from lamina.engine import Engine
from lamina.errors import LaminaError
from lamina.progress import StreamText
from tests.real.images import directory, file, hard_link, symlink
from tests.unit.build.builds import begin, build, layers
from tests.unit.engine.root_files import look_at

CONTEXT = (
    file("a", "A"),
    symlink("loop", "loop"),
    symlink("out", "../../../etc"),
    symlink("absolute", "/etc/passwd"),
    directory("d"),
    symlink("d/up", ".."),
    symlink("d/here", "."),
)

HOSTILE = {
    "a NUL in a destination": "COPY a /x\0y",
    "a NUL in a source": "COPY a\0b /x",
    "a NUL in a directory": "WORKDIR /x\0y",
    "a NUL in a variable": "ENV a=b\0c\nRUN true",
    "a NUL in a command": "RUN echo a\0b",
    "a NUL in an owner": "COPY --chown=a\0b a /x",
    "a long name": f"COPY a /{'x' * 5000}",
    "a long path": f"WORKDIR {'/x' * 3000}",
    "many ups": f"WORKDIR {'/..' * 3000}/etc",
    "a loop": "COPY loop /x",
    "a link out": "COPY out /x",
    "an absolute link": "COPY absolute /x",
    "a link up": "COPY d/up/a /x",
    "links in circles": f"COPY d{'/here' * 1000}/up/a /x",
    "a whiteout": "COPY a /.wh.etc",
    "a whiteout of all": "COPY a /.wh..wh..opq",
    "the root": "COPY a /..",
    "nothing": 'COPY "" /x',
    "onto nothing": 'COPY a ""',
    "a huge number": f"COPY --from={'9' * 500} a /x",
    "a huge owner": f"COPY --chown={'9' * 500} a /x",
    "a negative owner": "COPY --chown=-1 a /x",
    "a mode that is none": "COPY --chmod=99999 a /x",
    "a class that does not end": "COPY [a /x",
    "stars": f"COPY {'*' * 200}b /x",
    "stars and letters": f"COPY {'*a' * 40} /x",
    "a doubling variable": "ENV a=xxxxxxxxxx\n" + "ENV a=$a$a$a$a$a$a$a$a$a$a\n" * 8,
    "nested substitutions": f"ENV a={'${b:-' * 1000}{'}' * 1000}",
    "a user of no one": "USER :::\nRUN true",
    "a user of high number": "USER 99999999999\nRUN true",
    "a working directory that is a file": "COPY a /f\nWORKDIR /f",
    "below a file": "COPY a /f\nCOPY a /f/x",
    "a directory over a file": "COPY a /f\nCOPY d /f",
    "a base that is an option": "FROM --x",
    "a base of many colons": "FROM a:b:c:d",
    "a stage of itself": "FROM busybox AS me\nCOPY --from=me a /x",
    "a mount over the root": "RUN --mount=type=tmpfs,target=/.. true",
    "a mount of a loop": "RUN --mount=source=loop,target=/x true",
    "a mount out": "RUN --mount=source=out,target=/x true",
    "a cache of dots": "RUN --mount=type=cache,id=../../../etc,target=/x ls /x",
    "a volume of a NUL": 'VOLUME ["/a\\u0000b"]\nRUN true',
    "a volume in the place of a file": 'VOLUME ["/a"]\nCOPY a /a\nRUN true',
    "a cache of a mode that is none": "RUN --mount=type=cache,mode=37777777777,target=/x true",
    "a secret of a mode that is none": (
        "RUN --mount=type=secret,id=s,mode=37777777777,target=/x true"
    ),
    "a text whose name leads out": "COPY <<../../x /d/\n../../x",
    "a text whose name is above": "COPY <<.. /d/\n..",
    "a text whose name has a NUL": "COPY <<a\0b /d/\na\0b",
    "a text of a long name": f"COPY <<{'x' * 300} /d/\n{'x' * 300}",
    "a script whose name is above": "RUN <<..\n#!/bin/sh\n..",
    "a script whose name has a NUL": "RUN <<a\0b\n#!/bin/sh\na\0b",
    "a script of a long name": f"RUN <<{'x' * 300}\n#!/bin/sh\n{'x' * 300}",
    "a script with a bad name": "RUN <<../../x\n#!/bin/sh\ntrue\n../../x",
    "a label without end": "LABEL " + "a=b " * 20_000,
    "a URL of this machine's files": "ADD file:///etc/passwd /x",
    "a repository of this machine": "ADD git://127.0.0.1:1/x.git /x",
    "a repository by option": "ADD https://127.0.0.1:1/x.git#--upload-pack=touch%20/x /x",
    "a repository of a NUL": 'ADD ["https://127.0.0.1:1/x.git#a\\u0000b", "/x"]',
    "a directory of a NUL": 'ADD ["https://127.0.0.1:1/x.git#a:b\\u0000", "/x"]',
    "a repository in two lines": 'ADD ["https://127.0.0.1:1/x.git\\n", "/x"]',
    "a repository of many": f'ADD ["http://127.0.0.1:1/{".git#" * 100_000}\\n", "/x"]',
    "a URL of no host": "ADD http:///x /x",
    "a URL of half a host": "ADD http://[ /x",
    "a URL of no port": "ADD http://127.0.0.1:x/ /x",
    "a URL of a port that is none": "ADD http://127.0.0.1:99999/ /x",
    "a URL of a NUL": 'ADD ["http://127.0.0.1:1/\\u0000", "/x"]',
    "a URL of a host with a NUL": 'ADD ["http://127.0.0.1\\u0000:1/", "/x"]',
    "a URL of lines": 'ADD ["http://127.0.0.1:1/\\r\\nA: b", "/x"]',
    "a URL of a long host": f"ADD http://{'x' * 300}.invalid/ /x",
    "a URL of many labels": f"ADD http://{'x.' * 300}/ /x",
    "a URL of an odd host": "ADD http://\u2024\ud7ff/ /x",
    "a health check of zero": "HEALTHCHECK --interval=1ns CMD true",
    "a signal of text": "STOPSIGNAL \n",
    "triggers of triggers": "ONBUILD ONBUILD RUN true",
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_it_is_built_or_refused(engine: Engine, tmp_path: Path, name: str) -> None:
    text = HOSTILE[name]
    dockerfile = text if text.startswith("FROM") else f"FROM busybox\n{text}"
    before = names_in(Path("/etc"))
    async with asyncio.timeout(50):
        with contextlib.suppress(LaminaError):
            await build(engine, dockerfile, CONTEXT, secrets={"s": b"1"})
    assert names_in(Path("/etc")) == before
    look_at(tmp_path / "root").check_tidy()
    assert names_in(tmp_path / "root" / "build") <= {"mounts"}


def names_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


async def test_a_context_with_a_hard_link_to_nothing(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(LaminaError):
        await build(engine, "FROM busybox", [hard_link("hard", "nowhere")])
    look_at(tmp_path / "root").check_tidy()


async def test_whoever_checks_a_dockerfile_lets_others_work(engine: Engine) -> None:
    """However long it takes to find what its undefined variables were meant to be."""
    names = [f"{number}{'x' * 60}" for number in range(1000)]
    lines = [f"ENV a{name}=$b{name}" for name in names]
    longest = 0.0

    async def work() -> None:
        nonlocal longest
        before = time.monotonic()
        while True:
            await asyncio.sleep(0)
            longest, before = max(longest, time.monotonic() - before), time.monotonic()

    working = asyncio.create_task(work())
    with pytest.raises(LaminaError, match="lint violation"):
        await build(engine, "\n".join(["# check=error=true", "FROM scratch", *lines]))
    working.cancel()
    assert longest < 1


async def test_directories_that_become_files(engine: Engine) -> None:
    """It takes no time to speak of, however many they are."""
    names = [f"{number}" for number in range(30_000)]
    files = [
        *(directory(f"a/{name}") for name in names),
        *(file(f"b/{name}", "") for name in names),
    ]
    async with asyncio.timeout(20):
        image = await build(engine, "FROM scratch\nCOPY a b /x/", files)
    found = (await layers(engine, image))[-1]
    assert {f"x/{name}" for name in names} | {"x"} == found.keys()
    assert all(one.isfile() for path, one in found.items() if path != "x")


async def test_triggers_that_are_no_instructions(engine: Engine) -> None:
    for trigger in ("NOSUCH x", "RUN", "COPY --from=5 a /b"):
        await build(engine, f"FROM busybox\nONBUILD {trigger}", t=["base"])
        with pytest.raises(LaminaError):
            await build(engine, "FROM base")


SYNC = "--mount=type=cache,id=sync,target=/sync"
LOCK = "--mount=type=cache,id=lock,target=/lock,sharing=locked"


@pytest.mark.parametrize("quiet", [False, True])
async def test_output_without_end_does_not_fill_memory(
    engine: Engine,
    quiet: bool,  # noqa: FBT001
) -> None:
    """The second stage writes it before its turn, while it holds what the first one wants."""
    dockerfile = (
        f"FROM busybox AS a\nRUN {SYNC} while [ ! -e /sync/on ]; do sleep 0.01; done\n"
        f"RUN {LOCK} true\n"
        f"FROM busybox AS b\nRUN {SYNC} {LOCK} touch /sync/on; yes | head -c 300000000; false\n"
        "FROM a\nCOPY --from=b /x /x"
    )
    sizes: list[int] = []

    async def listen() -> None:
        events = begin(engine, dockerfile, q=quiet)
        sizes.extend([len(e.text) async for e in events if isinstance(e, StreamText)])

    with pytest.raises(LaminaError, match="non-zero code: 1"):
        await listen()
    assert sum(sizes) < 2 * MAX_KEPT
