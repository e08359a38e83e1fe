"""The file that a command writes its result to."""

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from lamina.content.whole_file import whole_file


@contextlib.asynccontextmanager
async def written_file(output: Path | None) -> AsyncIterator[BinaryIO]:
    """Open stdout (None), or a file that appears at `output` only when it is complete."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        async with whole_file(output) as file:
            yield file
