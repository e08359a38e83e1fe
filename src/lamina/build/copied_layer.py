"""Additions written as a layer: tar to tar, without a file system in between."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from lamina.build.additions import Addition, Additions
from lamina.build.files import Contents, Files
from lamina.content.threads import run_to_end
from lamina.layers.index import IndexEntry
from lamina.layers.tarwriter import END, header_bytes, padding
from lamina.records.catalogue import Layer
from lamina.transfer.incoming import Incoming
from lamina.transfer.layer_intake import LayerIntake, StoredLayer


async def store_additions(additions: Additions, coming: Incoming, scratch: Path) -> Layer:
    """Write a layer into the store. Raises InvalidLayer for sources that are broken."""
    async with AsyncExitStack() as stack:
        pieces = await tar_of(additions, stack, scratch)
        writer = await stack.enter_async_context(coming.blobs.ingest())
        intake = LayerIntake(writer)

        def write() -> StoredLayer:
            for piece in pieces:
                intake.feed(piece)
            return intake.finish()

        stored = await run_to_end(write)
        await coming.publish(writer, stored.blob.digest)
    return stored.record()


async def tar_of(additions: Additions, stack: AsyncExitStack, scratch: Path) -> Iterator[bytes]:
    """The tar of additions, for a worker thread; to be read before `stack` is closed."""
    contents = await _open_all(additions, stack, scratch)
    return _pieces(additions, contents)


def _pieces(additions: Additions, contents: dict[int, Contents]) -> Iterator[bytes]:
    """The entries; small ones are gathered, as each piece costs those who take it something."""
    gathered: list[bytes] = []
    size = 0
    for path, addition in additions:
        for piece in _entry(path, addition, contents):
            gathered.append(piece)
            size += len(piece)
            if size >= _GATHERED:
                yield b"".join(gathered) if len(gathered) > 1 else piece
                gathered.clear()
                size = 0
    gathered.append(END)
    yield b"".join(gathered)


_GATHERED: Final = 1 << 18


async def _open_all(
    additions: Additions, stack: AsyncExitStack, scratch: Path
) -> dict[int, Contents]:
    """The contents that the additions need, by the identity of the files they are of."""
    wanted = await run_to_end(lambda: _wanted(additions))
    return {
        key: await files.open(by_layer, stack, scratch) for key, (files, by_layer) in wanted.items()
    }


def _wanted(additions: Additions) -> dict[int, tuple[Files, dict[int, list[IndexEntry]]]]:
    """Which entries of which files, by layer."""
    wanted: dict[int, tuple[Files, dict[int, list[IndexEntry]]]] = {}
    for _, addition in additions:
        if addition.files is None or addition.found is None:
            continue
        _, by_layer = wanted.setdefault(id(addition.files), (addition.files, {}))
        by_layer.setdefault(addition.found.layer, []).append(addition.found.entry)
    return wanted


def _entry(path: str, addition: Addition, contents: dict[int, Contents]) -> Iterator[bytes]:
    yield header_bytes(
        path,
        type=addition.type,
        size=addition.size,
        mode=addition.mode,
        mtime_ns=addition.mtime_ns // 1_000_000_000 * 1_000_000_000,
        uid=addition.uid,
        gid=addition.gid,
        link=addition.link,
        major=addition.major,
        minor=addition.minor,
        xattrs=addition.xattrs,
    )
    if addition.files is not None and addition.found is not None:
        yield from contents[id(addition.files)][addition.found.layer].pieces(addition.found.entry)
    elif addition.data:
        yield addition.data
    if addition.size % 512:
        yield padding(addition.size)
