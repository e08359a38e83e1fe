"""`EngineApi`: what an engine in this process has beyond `Api`, for code without an event loop.

That are containers, and looking into images.
"""

import contextlib
from collections.abc import Generator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from lamina.blocking.api import Api, AsyncApi
from lamina.blocking.calls import Calls
from lamina.blocking.making import Archive, archive, call, entered, items
from lamina.container_api import (
    Attachment as AsyncAttachment,
    ContainerApi,
    ContainerArchive as AsyncContainerArchive,
    Output as AsyncOutput,
)
from lamina.models import PathStat
from lamina.streams import Frame

if TYPE_CHECKING:
    from lamina.engine.image_files import ImageTree as AsyncImageTree, LayerShare
    from lamina.layers.changes import Change
    from lamina.layers.view import Found
    from lamina.oci.digest import Digest

__all__ = ["AsyncEngine", "Attachment", "ContainerArchive", "EngineApi", "ImageTree", "Output"]


@runtime_checkable
class AsyncEngine(AsyncApi, ContainerApi, Protocol):
    """An engine in this process."""

    def image_files(self, name: str) -> "AbstractAsyncContextManager[AsyncImageTree]":
        """Look into an image without unpacking it: list, read and compare its files.

        Raises ImageNotFound, InvalidReference.
        """
        ...


class Output:
    """What a process wrote: iterate it, once, for its frames; `tty`: there is only one stream."""

    def __init__(self, output: AsyncOutput, calls: Calls) -> None:
        self.tty = output.tty
        self._frames = calls.read(output)

    def __iter__(self) -> Generator[Frame, None, None]:  # noqa: PYI058 - who leaves early closes it
        return self._frames

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._frames.close()


class Attachment(Output):
    """The streams of a process that may still run; another thread may write while one reads."""

    def __init__(self, attachment: AsyncAttachment, calls: Calls) -> None:
        super().__init__(attachment, calls)
        self._attachment = attachment
        self._calls = calls

    def write(self, data: bytes) -> None:
        """Give `data` to the process, waiting while it does not read.

        Does nothing if stdin is not attached; raises ConnectionError if nobody will ever read it.
        """
        self._calls.call(lambda: self._attachment.write(data))

    def close_stdin(self) -> None:
        """Say that no more will be written, as `lamina.container_api.Attachment` has it."""
        self._calls.call(self._attachment.close_stdin)


class ContainerArchive(Archive):
    """An archive of a path in a container; `stat` is what the path is."""

    def __init__(self, chunks: Iterator[bytes], stat: PathStat) -> None:
        super().__init__(chunks, None)
        self.stat = stat


@contextlib.contextmanager
def _container_archive(stream: AsyncContainerArchive, calls: Calls) -> Iterator[ContainerArchive]:
    with (
        contextlib.closing(calls.read(stream)) as chunks,
        ContainerArchive(chunks, stream.stat) as read,
    ):
        yield read


class ImageTree:
    """The files of an image, as `lamina.engine.image_files.ImageTree` has them."""

    def __init__(self, tree: "AsyncImageTree", calls: Calls) -> None:
        self._tree = tree
        self._calls = calls

    @property
    def id(self) -> "Digest":
        """The image's ID."""
        return self._tree.id

    def find(self, path: str, *, follow_last: bool = True) -> "tuple[str, Found]":
        """The true path of what is at a path, and what it is. NotFound, InvalidParameter."""
        return self._tree.find(path, follow_last=follow_last)

    def listing(self, path: str = "") -> "list[tuple[str, Found]]":
        """What is in a directory, by name; of anything else it alone. Raises as `find`."""
        return self._tree.listing(path)

    def walk(self, path: str = "") -> "list[tuple[str, Found]]":
        """All that is below a directory, sorted, each directory before what is in it."""
        return self._tree.walk(path)

    def read(self, path: str) -> Generator[bytes, None, None]:
        """The content of a file, in pieces. Raises NotFound, InvalidParameter (no file)."""
        return self._calls.read(self._tree.read(path))

    def shares(self) -> "list[LayerShare]":
        """What each layer contributes, base first."""
        return self._calls.call(self._tree.shares)

    def changes(self, since: "ImageTree") -> "list[Change]":
        """What makes this image of another, as ``docker diff`` counts changes."""
        return self._calls.call(lambda: self._tree.changes(since._tree))  # noqa: SLF001 - its twin


def _image_tree(tree: "AsyncImageTree", calls: Calls) -> AbstractContextManager[ImageTree]:
    return contextlib.nullcontext(ImageTree(tree, calls))


class EngineApi(Api):
    """`Api` and `ContainerApi` for code without an event loop, and the files of images.

    Made by `use` of an `Engine`. Contexts are left as they are entered, in any thread.
    """

    image_files = entered(AsyncEngine.image_files, _image_tree)

    container_create = call(ContainerApi.container_create)
    container_delete = call(ContainerApi.container_delete)
    container_prune = call(ContainerApi.container_prune)
    container_rename = call(ContainerApi.container_rename)
    container_update = call(ContainerApi.container_update)

    container_list = call(ContainerApi.container_list)
    container_inspect = call(ContainerApi.container_inspect)
    container_top = call(ContainerApi.container_top)
    container_changes = call(ContainerApi.container_changes)
    container_stats = items(ContainerApi.container_stats)

    network_list = call(ContainerApi.network_list)
    network_inspect = call(ContainerApi.network_inspect)
    volume_list = call(ContainerApi.volume_list)
    volume_inspect = call(ContainerApi.volume_inspect)

    container_start = call(ContainerApi.container_start)
    container_stop = call(ContainerApi.container_stop)
    container_restart = call(ContainerApi.container_restart)
    container_kill = call(ContainerApi.container_kill)
    container_pause = call(ContainerApi.container_pause)
    container_unpause = call(ContainerApi.container_unpause)
    container_resize = call(ContainerApi.container_resize)
    container_wait = call(ContainerApi.container_wait)

    container_logs = entered(ContainerApi.container_logs, Output)
    container_attach = entered(ContainerApi.container_attach, Attachment)

    container_export = archive(ContainerApi.container_export)
    container_archive_info = call(ContainerApi.container_archive_info)
    container_archive = entered(ContainerApi.container_archive, _container_archive)
    put_container_archive = call(ContainerApi.put_container_archive)

    container_exec = call(ContainerApi.container_exec)
    exec_start = entered(ContainerApi.exec_start, Attachment)
    exec_resize = call(ContainerApi.exec_resize)
    exec_inspect = call(ContainerApi.exec_inspect)
