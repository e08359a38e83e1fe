"""What image_load and image_create make of archives that were made to hurt."""

import io
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from lamina.errors import LaminaError
from tests.conformance.engines import saved
from tests.hostile.cases import (
    BAD_LAYERS,
    BOMBS,
    CONFIGS,
    LINKS,
    MANIFESTS,
    NO_ARCHIVES,
    TARS,
    Body,
    Case,
    cuts,
    image_of,
)
from tests.hostile.conftest import Victim
from tests.hostile.layouts import LAYOUTS
from tests.hostile.tars import END, member, pax, record
from tests.real.archives import docker_archive
from tests.real.images import (
    Entry,
    file,
    hard_link,
    layer,
    make_image,
    symlink,
    tar_of,
)

CASES = {
    **{f"archive: {name}": case for name, case in NO_ARCHIVES.items()},
    **{f"tar: {name}": case for name, case in TARS.items()},
    **{f"cut: {name}": case for name, case in cuts().items()},
    **{f"manifest: {name}": case for name, case in MANIFESTS.items()},
    **{f"config: {name}": case for name, case in CONFIGS.items()},
    **{f"link: {name}": case for name, case in LINKS.items()},
    **{f"layer: {name}": image_of(data) for name, data in BAD_LAYERS.items()},
    **{f"layout: {name}": case for name, case in LAYOUTS.items()},
    **{f"bomb: {name}": case for name, case in BOMBS.items()},
}

# What a message shows that was never meant for its reader.
_INTERNALS = ("object has no attribute", "Traceback", "NoneType", "list index", "codec can")


async def pieces(body: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in body:
        yield piece


def source(body: Body) -> AsyncIterator[bytes] | io.BytesIO:
    return io.BytesIO(body) if isinstance(body, bytes) else pieces(body)


async def assert_refused(victim: Victim, operation: object) -> None:
    with pytest.raises(LaminaError) as caught:
        await operation  # type: ignore[misc]
    message = str(caught.value)
    assert message
    assert len(message) < 2000, message[:3000]
    assert not any(words in message for words in _INTERNALS), message
    assert str(victim.root) not in message
    await victim.assert_untouched()


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
async def test_load_refuses(victim: Victim, case: Case) -> None:
    await assert_refused(victim, victim.api.image_load(source(case())))


@pytest.mark.parametrize("data", BAD_LAYERS.values(), ids=list(BAD_LAYERS))
async def test_import_refuses(victim: Victim, data: bytes) -> None:
    operation = victim.api.image_create(
        from_src="-", input_image=io.BytesIO(data), repo="victim", tag="1"
    )
    await assert_refused(victim, operation)


@pytest.mark.parametrize("case", ["gzip, cut", "zstd with a window of 2 GiB", "xz, then noise"])
async def test_import_refuses_bad_compression(victim: Victim, case: str) -> None:
    body = CASES[f"archive: {case}"]()
    operation = victim.api.image_create(from_src="-", input_image=source(body), repo="victim")
    await assert_refused(victim, operation)


async def test_a_source_that_breaks_leaves_nothing(victim: Victim) -> None:
    class SourceBrokeError(Exception):
        pass

    async def broken() -> AsyncIterator[bytes]:
        yield tar_of(docker_archive((make_image(layer(file("a", "b"))), ["a:1"])))[:3000]
        raise SourceBrokeError

    with pytest.raises(SourceBrokeError):
        await victim.api.image_load(broken())
    await victim.assert_untouched()


ODD_BUT_GOOD: dict[str, bytes] = {
    "absolute and dangling symlinks": layer(
        symlink("a", "/etc/passwd"), symlink("b", "../../../x"), symlink("c", "nothing")
    ),
    "a symlink loop": layer(symlink("a", "b"), symlink("b", "a")),
    "absolute names": layer(file("/etc/passwd", "x")),
    "names with ./": layer(file("./a", "x"), file("./b/./c", "y")),
    "the same name twice": layer(file("a", "first"), file("a", "second"), file("a", "third")),
    "a file, then a directory": layer(file("a", "x"), Entry("a", kind=b"5"), file("a/b", "y")),
    "devices and pipes": layer(
        Entry("null", kind=b"3"), Entry("disk", kind=b"4"), Entry("pipe", kind=b"6")
    ),
    "an absolute hard link": layer(file("a", "x"), hard_link("b", "/a")),
    "names that are no UTF-8": member(b"\xff\xfe\x80", b"x") + END,
    "a name of 4000 bytes": layer(file("a/" * 1999 + "b", "x")),
    "many names": layer(*(file(f"{n}", "") for n in range(3000))),
    "extended attributes": layer(Entry("a", b"x", pax={"SCHILY.xattr.user.x": "y"})),
    "a global header": pax(record(b"comment", b"hello"), kind=b"g") + layer(file("a", "x")),
    "no end": layer(file("a", "x"))[:1024],
    "noise after the end": layer(file("a", "x")) + b"noise" * 1000,
}
"""Layers that look odd, and that every engine takes."""


@pytest.mark.parametrize("data", ODD_BUT_GOOD.values(), ids=list(ODD_BUT_GOOD))
async def test_odd_layers_come_back_as_they_were(victim: Victim, data: bytes) -> None:
    image = make_image(data)
    try:
        archive = tar_of(docker_archive((image, ["odd:1"])))
        assert await victim.api.image_load(io.BytesIO(archive)) == ["odd:1"]
        inspected = await victim.api.image_inspect("odd:1")
        assert (inspected.id, inspected.root_fs.layers) == (image.id, list(image.diff_ids))
        again = await saved(victim.api, "odd:1")
        assert data in again
        await victim.api.image_delete(image.id, force=True)
        assert await victim.api.image_load(io.BytesIO(again)) == ["odd:1"]
    finally:
        await victim.api.image_prune(filters={"dangling": False})
    await victim.assert_untouched()


async def test_duplicate_members_are_one_or_an_error(victim: Victim) -> None:
    first, second = (make_image(layer(file(name, name))) for name in ("one", "two"))
    parts = [docker_archive((image, ["twice:1"]), extra=False) for image in (first, second)]
    archive = b"".join(tar_of(part)[: -len(END)] for part in parts) + END
    try:
        await victim.api.image_load(io.BytesIO(archive))
    except LaminaError:
        pass
    else:
        [image] = await victim.api.image_list()
        assert image.id in {first.id, second.id}
        assert await saved(victim.api, "twice:1")
    await victim.api.image_prune(filters={"dangling": False})
    await victim.assert_untouched()


def test_nothing_was_written_outside() -> None:
    """Runs last in this file: no case above reached the machine's own files."""
    assert not Path("/tmp/lamina-escape").exists()
    assert not Path("/tmp/escape").exists()
