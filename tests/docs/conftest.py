"""A shell in which to do what the pages show."""

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import Session
from tests.real.image_files import ImageFiles
from tests.real.registry import Registry


@pytest.fixture
def session(image_files: ImageFiles, registry: Registry) -> Iterator[Session]:
    # Not pytest's own directory: a unix socket's path must stay below 108 bytes.
    with tempfile.TemporaryDirectory(prefix="lamina-docs-") as temporary:
        home = Path(temporary)
        (home / "rootfs.tar").symlink_to(image_files.busybox_rootfs)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        instead = {
            "unix:///tmp/": f"unix://{home}/",
            "tcp://0.0.0.0:2376": f"tcp://127.0.0.1:{port}",
            "tcp://localhost:2376": f"tcp://localhost:{port}",
            "localhost:5000": registry.address,
            "/srv/images": f"{home}/srv",
        }
        session = Session(home, instead)
        session.install()
        yield session
