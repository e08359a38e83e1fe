"""Build contexts that want to break out, break down, or be left behind."""

import io
import tarfile
import zlib
from collections.abc import AsyncIterator, Mapping

import pytest

from lamina.errors import LaminaError
from tests.hostile.conftest import MEMORY_LIMIT, Victim
from tests.hostile.tars import END, endless, header, member
from tests.real.images import Entry, file, gzipped, hard_link, layer, symlink

DOCKERFILE = file("Dockerfile", "FROM scratch\nCOPY . /\n")
PLAIN = layer(file("a", "1" * 3000), DOCKERFILE)
SECRET = "/etc/hostname"

REFUSED: Mapping[str, bytes] = {
    "no tar": b"FROM scratch\n" * 1000,
    "cut in a header": PLAIN[:300],
    "cut in a file": PLAIN[:2000],
    "cut gzip": gzipped(PLAIN)[:-30],
    "broken gzip": gzipped(PLAIN)[:40] + b"\0" * 200,
    "broken xz": b"\xfd7zXZ\0" + b"\0" * 100,
    "a wrong checksum": header(b"a", checksum=1) + END,
    "a size that is none": header(b"a", b"-0000000001\0") + END,
    "a type that is none": member(b"a", kind=b"Z") + END,
    "a hard link to nothing": layer(hard_link("a", "b"), DOCKERFILE),
    "a hard link out": layer(hard_link("a", f"../../../../../..{SECRET}"), DOCKERFILE),
    "a file through a link out": layer(symlink("a", "/etc"), file("a/b", "1"), DOCKERFILE),
    "links to each other": layer(
        symlink("a", "b"), symlink("b", "a"), file("a/c", "1"), DOCKERFILE
    ),
    "a file below a file": layer(file("a", "1"), file("a/b", "1"), DOCKERFILE),
    "a long name": layer(file("n" * 256, "1"), DOCKERFILE),
    "a long path": layer(file("/".join(["n"] * 3000), "1"), DOCKERFILE),
    "a long link": layer(symlink("a", "n" * 5000), DOCKERFILE),
    "a name of a whiteout": layer(file(".wh.a", "1"), DOCKERFILE),
    "an archive with one": layer(
        file("t.tar", layer(file(".wh.a", "1"))), file("Dockerfile", "FROM scratch\nADD t.tar /\n")
    ),
    "a Dockerfile that leads out": layer(symlink("Dockerfile", f"../../../../../..{SECRET}")),
    "a Dockerfile that is a directory": layer(Entry("Dockerfile", kind=tarfile.DIRTYPE)),
    "a Dockerfile that is a pipe": layer(Entry("Dockerfile", kind=tarfile.FIFOTYPE)),
    "a large Dockerfile": layer(file("Dockerfile", b"#" * (40 << 20))),
    "a Dockerfile in circles": layer(symlink("Dockerfile", "d"), symlink("d", "Dockerfile")),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_refused(victim: Victim, name: str) -> None:
    with pytest.raises(LaminaError):
        await victim.api.image_build(input_stream=io.BytesIO(REFUSED[name]))
    await victim.assert_untouched()


async def test_a_context_that_breaks_off(victim: Victim) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield PLAIN[:1536]
        raise ConnectionResetError

    with pytest.raises((LaminaError, ConnectionResetError)):
        await victim.api.image_build(input_stream=body())
    await victim.assert_untouched()


async def test_links_out_lead_to_nothing(victim: Victim) -> None:
    dockerfile = "FROM scratch\nCOPY a /../../x\nCOPY b/hostname /y\n"
    body = layer(
        file("../../a", "1"), symlink("b", "../../../../etc"), file("Dockerfile", dockerfile)
    )
    with pytest.raises(LaminaError, match="file not found in build context"):
        await victim.api.image_build(input_stream=io.BytesIO(body))


async def test_a_bomb_costs_no_memory(victim: Victim) -> None:
    """Half a GiB of zeros in half a MiB, which nobody copies."""
    dockerfile = b"FROM scratch\nCOPY Dockerfile /x\n"

    async def body() -> AsyncIterator[bytes]:
        packing = zlib.compressobj(wbits=31)
        yield packing.compress(member(b"Dockerfile", dockerfile))
        for piece in endless(b"zeros", 512 << 20, bytes(1 << 20)):
            yield packing.compress(piece)
        yield packing.compress(END) + packing.flush()

    assert await victim.api.image_build(input_stream=body())
    if victim.daemon is not None:
        assert victim.daemon.memory("VmHWM") < MEMORY_LIMIT
    await victim.api.image_prune(filters={"dangling": ["false"]})
    await victim.assert_untouched()


async def test_variables_that_add_up(victim: Victim) -> None:
    doubled = f"FROM scratch\nENV a={'8' * 60_000}\n" + "ENV a=$a$a\n" * 4
    added = "".join(f"ENV b{number}=$a\n" for number in range(14))
    context = layer(file("Dockerfile", doubled + added))
    with pytest.raises(LaminaError, match="image configuration is larger than"):
        await victim.api.image_build(input_stream=io.BytesIO(context))
    left = await victim.api.image_list(all=True)
    assert left
    for image in left:
        await victim.api.image_inspect(image.id)
