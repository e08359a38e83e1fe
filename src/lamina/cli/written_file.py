"""The file that a command writes its result to."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def written_file(output: Path | None) -> Iterator[BinaryIO]:
    """Open stdout (None), or a file that appears at `output` only when it is complete."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif output.exists() and not output.is_file():
        # A pipe or a device cannot be replaced by a file.
        with output.open("wb") as file:
            yield file
    else:
        with _replaced(output) as file:
            yield file


@contextlib.contextmanager
def _replaced(output: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `output` when it has been written without an error."""
    handle, name = tempfile.mkstemp(prefix=f".{output.name[:200]}.", dir=output.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        umask = os.umask(0o077)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(output)
    except BaseException:
        Path(name).unlink()
        raise
