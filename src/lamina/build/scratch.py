"""Temporary directories that are gone with their context, also if that is cancelled."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

PREFIX = "lamina-build-"


@asynccontextmanager
async def scratch_directory(parent: Path) -> AsyncIterator[Path]:
    """A directory below `parent` that only this user sees into."""
    path = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=PREFIX, dir=parent))
    try:
        yield path
    finally:
        removal = asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
        await asyncio.shield(asyncio.create_task(removal))
