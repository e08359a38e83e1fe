"""A shell in which to do what the pages show."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import Session
from tests.real.image_files import ImageFiles


@pytest.fixture
def session(image_files: ImageFiles) -> Iterator[Session]:
    # Not pytest's own directory: a unix socket's path must stay below 108 bytes.
    with tempfile.TemporaryDirectory(prefix="lamina-docs-") as temporary:
        home = Path(temporary)
        (home / "rootfs.tar").symlink_to(image_files.busybox_rootfs)
        session = Session(home, {"unix:///tmp/": f"unix://{home}/"})
        session.install()
        yield session
