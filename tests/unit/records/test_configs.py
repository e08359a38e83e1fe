from pathlib import Path

import pytest

from lamina.content.local import LocalStore
from lamina.errors import BlobNotFound, InvalidManifest
from lamina.oci.digest import Digest
from lamina.records.configs import ImageConfigs
from tests.real.images import make_image
from tests.unit.records.records_in import put_blob


async def put_config(root: Path, size: int, number: int = 0) -> Digest:
    image = make_image(extra={"author": str(number).ljust(size, "x")})
    return await put_blob(root, image.config)


async def test_read_once(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "content")
    configs = ImageConfigs(store)
    image_id = await put_config(tmp_path, 10)
    assert configs.cached(image_id) is None
    config = await configs.get(image_id)
    assert config.digest == image_id
    await store.delete(image_id)
    assert await configs.get(image_id) is config
    assert configs.cached(image_id) is config


async def test_those_used_last_stay(tmp_path: Path) -> None:
    configs = ImageConfigs(LocalStore(tmp_path / "content"), capacity=40_000)
    ids = [await put_config(tmp_path, 5_000, number) for number in range(8)]
    for image_id in ids:
        await configs.get(image_id)
        await configs.get(ids[0])
    kept = [image_id for image_id in ids if configs.cached(image_id) is not None]
    assert kept == [ids[0], *ids[-len(kept) + 1 :]]
    assert 2 < len(kept) < 8


async def test_small_texts_that_parse_to_much_count_as_much(tmp_path: Path) -> None:
    configs = ImageConfigs(LocalStore(tmp_path / "content"), capacity=1 << 20)
    many = [
        await put_blob(tmp_path, make_image(history=[{}] * 10_000, extra={"author": name}).config)
        for name in "abc"
    ]
    for image_id in many:
        await configs.get(image_id)
    # The one asked for last stays in any case.
    assert [configs.cached(image_id) is not None for image_id in many] == [False, False, True]


async def test_what_cannot_be_read(tmp_path: Path) -> None:
    configs = ImageConfigs(LocalStore(tmp_path / "content"))
    with pytest.raises(BlobNotFound):
        await configs.get(Digest.of(b"x"))
    broken = await put_blob(tmp_path, b"{")
    with pytest.raises(InvalidManifest):
        await configs.get(broken)
