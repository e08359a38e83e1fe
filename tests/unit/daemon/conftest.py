import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def socket_directory() -> Iterator[Path]:
    # Not tmp_path: a unix socket's path must stay below 108 bytes.
    directory = Path(tempfile.mkdtemp(prefix="lamina-daemon-"))
    yield directory
    shutil.rmtree(directory)
