"""Bytes to load, in pieces of any size, and what was saved."""

import io
import tarfile
from collections.abc import AsyncIterator

from lamina.engine import Engine


async def pieces(data: bytes, size: int = 1 << 16) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def load(engine: Engine, data: bytes, size: int = 1 << 16) -> list[str]:
    return await engine.image_load(pieces(data, size))


async def save(engine: Engine, *names: str) -> bytes:
    async with engine.image_get_all(names) as archive:
        data = b"".join([chunk async for chunk in archive])
        assert len(data) == archive.size
        return data


def members(data: bytes) -> dict[str, bytes | str]:
    """A file's bytes, a link's target; of directories nothing."""
    found: dict[str, bytes | str] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            if member.isreg():
                content = tar.extractfile(member)
                assert content is not None
                found[member.name] = content.read()
            else:
                found[member.name] = member.linkname
    return found
