"""Looking into images: what the commands ``ls``, ``cat``, ``diff`` and ``tree`` have in common."""

import contextlib
import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import click

from lamina.cli.plain_text import one_line
from lamina.cli.target import Target

if TYPE_CHECKING:
    from lamina.engine import Engine


@contextlib.asynccontextmanager
async def local_engine(target: Target) -> AsyncIterator["Engine"]:
    """The engine on a data root; only there are layers at hand. Raises click.UsageError."""
    from lamina.engine import Engine

    if target.data_root is None:
        raise click.UsageError(
            "files are read where images lie: name their directory with --root or $LAMINA_ROOT"
            " (a daemon may be running on it)"
        )
    async with target.open() as api:
        assert isinstance(api, Engine)
        yield api


def shown(path: str) -> bytes:
    """A path as a line of output: whoever made the image may not steer the terminal with it."""
    return os.fsencode(one_line(path))
