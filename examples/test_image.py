"""Test an image that a project builds: pytest fixtures, without a daemon and without root.

python -m pytest test_image.py
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lamina import Engine, blocking
from lamina.models import ImageBuildOutput
from lamina.packing.context import directory_context


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[blocking.Api]:
    """An engine of the tests' own, which is gone afterwards."""
    with blocking.use(Engine.open(tmp_path_factory.mktemp("images"))) as engine:
        yield engine


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the files of the image are."""
    return tmp_path_factory.mktemp("rootfs")


@pytest.fixture(scope="session")
def image(engine: blocking.Api, rootfs: Path) -> str:
    """The image of the directory ``site``, and its files in `rootfs`."""
    context = directory_context(Path(__file__).parent / "site")
    build = engine.image_build(
        dockerfile=context.dockerfile,
        input_stream=context.stream,
        buildargs={"VERSION": "1.2"},
        outputs=[ImageBuildOutput(type="local", attrs={"dest": str(rootfs)})],
    )
    return build.result()


def test_its_configuration(engine: blocking.Api, image: str) -> None:
    config = engine.image_inspect(image).config
    assert config is not None
    assert config.user == "1000"
    assert config.labels == {"version": "1.2"}


@pytest.mark.usefixtures("image")
def test_what_is_in_it(rootfs: Path) -> None:
    files = [path for path in rootfs.rglob("*") if path.is_file()]
    assert files == [rootfs / "srv/index.html"]
    assert "<title>Hello</title>" in files[0].read_text()


def test_that_it_stays_small(engine: blocking.Api, image: str) -> None:
    assert engine.image_inspect(image).size < 1000
