"""A file that appears only when it is complete."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from lamina.content.threads import run_to_end


@contextlib.asynccontextmanager
async def whole_file(path: Path) -> AsyncIterator[BinaryIO]:
    """Open a file for writing, in threads, that takes the place of `path` if there is no error.

    A pipe or a device, which no file can replace, is written to as it stands. Raises OSError.
    """
    opened = _opened(path)
    files: list[BinaryIO] = []
    try:
        # Kept in a list, since whoever is cancelled meanwhile never sees the result.
        await run_to_end(lambda: files.append(opened.__enter__()))
        yield files[0]
    except BaseException as error:
        if files:
            await run_to_end(partial(opened.__exit__, type(error), error, error.__traceback__))
        raise
    await run_to_end(partial(opened.__exit__, None, None, None))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    # Not of `tempfile`: that would need its mode changed to what the umask leaves.
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            yield file
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
