"""Files of a container, in and out (``docker cp``), and all of them (``docker export``)."""

import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec

from lamina.containers.containers import Containers
from lamina.containers.locating import (
    Located,
    View,
    located,
    open_root,
    ownership_of,
    stat_of,
    view_of,
)
from lamina.containers.stored import settings_of
from lamina.content.threads import run_to_end
from lamina.errors import Forbidden, InvalidLayer, InvalidParameter, NotFound
from lamina.layers.apply import ApplyOptions, Form, LayerApplier
from lamina.layers.compression import PREFIX_SIZE, Decompressor, detect
from lamina.layers.diff import DiffOptions, subtree_tar
from lamina.layers.directories import Directories
from lamina.layers.scan import MAX_LAYER
from lamina.layers.tarheader import EntryType, TarHeader
from lamina.layers.tree import Tree
from lamina.models import PathStat
from lamina.runtime.users import Identity, identify
from lamina.snapshots.stopping import Stop, until_stopped
from lamina.streams import ByteSource, ByteStream, chunks_of

__all__ = ["PathArchive", "archive_of", "export_container", "put_archive"]


class TarStream:
    """The bytes of an archive that is made in threads while it is read.

    Nobody is at work for it any more when reading it was cancelled.
    """

    size: None = None

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await run_to_end(lambda: _joined(self._pieces)):
            yield piece


def _joined(pieces: Iterator[bytes], at_least: int = 1 << 18) -> bytes:
    """The next pieces as one of some size, so that there are few changes of threads."""
    parts, size = [], 0
    for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size >= at_least:
            break
    return b"".join(parts)


class PathArchive(TarStream):
    """`lamina.container_api.ContainerArchive`."""

    def __init__(self, pieces: Iterator[bytes], found: PathStat) -> None:
        super().__init__(pieces)
        self._stat = found

    @property
    def stat(self) -> PathStat:
        """What the path is."""
        return self._stat


@asynccontextmanager
async def archive_of(containers: Containers, name: str, path: str) -> AsyncIterator[PathArchive]:
    """An archive of what is at a path. NotFound, InvalidParameter (it must be a directory)."""
    container = containers.find(name)
    async with view_of(containers, container, path) as view:
        found = await run_to_end(lambda: located(name, path, view))
        root = open_root(view.root)
        tree = Tree(root, view.ownership)
        try:
            options = DiffOptions(ownership=view.ownership, type_bits=True)
            shown = stat_of(path, found)
            base = shown.name if shown.name != "/" else ""
            yield PathArchive(subtree_tar(tree, found.path, base or ".", options), shown)
        finally:
            tree.close()
            os.close(root)
    await containers.tell(container, "archive-path", path=path)


@asynccontextmanager
async def export_container(containers: Containers, name: str) -> AsyncIterator[ByteStream]:
    """All files of a container but those of its mounts."""
    container = containers.find(name)
    containers.check_ours(container)
    async with containers.rootfs(container) as mounted:
        ownership = await ownership_of(containers)
        root = open_root(mounted.path)
        tree = Tree(root, ownership)
        try:
            await containers.tell(container, "export")
            options = DiffOptions(ownership=ownership, type_bits=True)
            yield TarStream(subtree_tar(tree, "", "", options))
        finally:
            tree.close()
            os.close(root)


async def put_archive(
    containers: Containers,
    name: str,
    source: ByteSource,
    *,
    path: str,
    no_overwrite: bool,
    copy_owner: bool,
) -> None:
    """Unpack an archive into a directory of the container.

    Raises NotFound, InvalidParameter (no directory, not an archive), Forbidden (read-only).
    """
    container = containers.find(name)
    async with view_of(containers, container, f"{path}/") as view:
        found = await run_to_end(lambda: _directory(name, path, view))
        if not view.writable:
            raise Forbidden(
                "mounted volume is marked read-only"
                if any(point.destination == view.above for point in settings_of(container).mounts)
                else "container rootfs is marked read-only"
            )
        identity = None
        if copy_owner:
            user = settings_of(container).config.user
            async with containers.rootfs(container) as mounted:
                identity = await run_to_end(partial(identify, mounted.path, user))
        await _unpack(view, found, source, no_overwrite=no_overwrite, identity=identity)
    await containers.tell(container, "extract-to-dir", path=path)


def _directory(name: str, path: str, view: View) -> Located:
    """The directory at a path, through links. NotFound, InvalidParameter."""
    try:
        return located(name, path, view)
    except NotFound as error:
        there = located(name, path, replace(view, path=view.path.rstrip("/")))
        if there.target:
            # A link that leads nowhere.
            raise error from None
        raise InvalidParameter("extraction point is not a directory") from None


async def _unpack(
    view: View,
    found: Located,
    source: ByteSource,
    *,
    no_overwrite: bool,
    identity: Identity | None,
) -> None:
    root = open_root(view.root)
    there = Directories(root)
    try:
        adapt = _adapter(there, found.path, no_overwrite=no_overwrite, identity=identity)
        options = ApplyOptions(
            form=Form.MERGED, ownership=view.ownership, whiteouts=False, adapt=adapt
        )
        with LayerApplier(root, options) as applier:
            stop = Stop()
            feed = _decompressing(applier.feed, stop)
            async for chunk in chunks_of(source):
                # Who is at work in a directory must have ended before that is closed.
                await run_to_end(partial(feed, chunk), stop=stop.set)
            await run_to_end(lambda: feed(None), stop=stop.set)
            await run_to_end(applier.finish)
    except InvalidLayer as error:
        raise InvalidParameter(str(error)) from error
    finally:
        there.abandon()
        os.close(root)


def _decompressing(
    take: Callable[[bytes | memoryview], None], stop: Stop
) -> Callable[[bytes | None], None]:
    """Decompress what is fed, whatever its compression; None is the end. Raises Stopped."""
    beginning = bytearray()
    decompressor: Decompressor | None = None

    def feed(data: bytes | None) -> None:
        nonlocal decompressor
        if decompressor is None:
            beginning.extend(data or b"")
            if data is not None and len(beginning) < PREFIX_SIZE:
                return
            decompressor = Decompressor(detect(bytes(beginning)), limit=MAX_LAYER)
            for piece in until_stopped(decompressor.feed(bytes(beginning)), stop):
                take(piece)
        elif data is not None:
            for piece in until_stopped(decompressor.feed(data), stop):
                take(piece)
        if data is None:
            decompressor.close()

    return feed


def _adapter(
    there: Directories, target: str, *, no_overwrite: bool, identity: Identity | None
) -> Callable[[TarHeader], TarHeader]:
    """What is made of an entry: below `target`, another's perhaps, and not of another kind."""

    def below(path: str) -> str:
        return f"{target}/{path}".strip("/")

    def adapt(header: TarHeader) -> TarHeader:
        if no_overwrite and header.path:
            _check_kind(there, below(header.path), header, into=f"/{target}")
        changes: dict[str, Any] = {"path": below(header.path)}
        if header.type == EntryType.HARD_LINK:
            changes["link"] = below(header.link)
        if identity is not None:
            changes.update(uid=identity.uid, gid=identity.gid)
        return msgspec.structs.replace(header, **changes)

    return adapt


def _check_kind(there: Directories, path: str, header: TarHeader, *, into: str) -> None:
    above, _, name = path.rpartition("/")
    there.forget()
    try:
        mode = os.lstat(name, dir_fd=there.get(above).fd).st_mode
    except OSError:
        return
    is_directory = header.type == EntryType.DIRECTORY
    if stat.S_ISDIR(mode) and not is_directory:
        raise InvalidParameter(f'cannot overwrite directory "/{path}" with non-directory "{into}"')
    if not stat.S_ISDIR(mode) and is_directory:
        raise InvalidParameter(f'cannot overwrite non-directory "/{path}" with directory "{into}"')
