"""Members that no manifest speaks of: there may be many, and they must not cost much."""

from pathlib import Path

import pytest

from lamina.engine import Engine
from lamina.layers.tarheader import BLOCK
from tests.real import archives
from tests.real.images import directory, file, gzipped, layer, make_image, small_image, tar_of
from tests.unit.engine.root_files import look_at
from tests.unit.engine.sources import load

IMAGE = small_image("intake")
ARCHIVE = archives.docker_archive((IMAGE, ["intake:1"]))

FILES = {
    "nothing": b"",
    "a byte": b"x",
    "less than a block": b"x" * (BLOCK - 1),
    "a block of zeros": bytes(BLOCK),
    "noise of 70 KiB": b"noise " * 12_000,
    "broken gzip": b"\x1f\x8b\x08junk",
    "a broken zstd": b"\x28\xb5\x2f\xfdjunk",
    "half of a layer": layer(directory("d"), file("d/f", "x" * 2_000))[:1500],
    "a layer": layer(file("other")),
    "a long layer": layer(file("other", "x" * 200_000)),
    "a compressed layer": gzipped(layer(file("other"))),
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
@pytest.mark.parametrize("first", [True, False])
async def test_other_files_leave_nothing(
    engine: Engine, root: Path, content: bytes, *, first: bool
) -> None:
    others = {f"{number}/other": content for number in range(20)}
    files = {**others, **ARCHIVE} if first else {**ARCHIVE, **others}
    assert await load(engine, tar_of(files)) == ["intake:1"]
    look_at(root).check_tidy()
    assert (await engine.image_inspect("intake:1")).root_fs.layers == list(IMAGE.diff_ids)


@pytest.mark.parametrize("data", [FILES["a layer"], FILES["a long layer"], b""], ids=len)
async def test_one_blob_that_is_there_several_times(
    engine: Engine, root: Path, data: bytes
) -> None:
    image = make_image(data, data, data)
    files = archives.docker_archive((image, ["twice:1"]), extra=False)
    assert await load(engine, tar_of({"before": data, **files, "behind": data})) == ["twice:1"]
    look_at(root).check_tidy()
    assert look_at(root).blobs == {image.id, image.diff_ids[0]}
