"""`Api`: the operations of `ImageApi` and `SystemApi`, each of which returns when it is done."""

import contextlib
import functools
import io
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from lamina import progress
from lamina.blocking.calls import Calls, running_loop
from lamina.image_api import ImageApi
from lamina.streams import ByteStream
from lamina.system_api import SystemApi

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

P = ParamSpec("P")
T = TypeVar("T")


class AsyncApi(ImageApi, SystemApi, Protocol):
    """What is made blocking: an `Engine`, a `Client`, or another."""


class Operation(Generic[T]):
    """Work in progress: iterate it for its events, or ask for its `result` alone.

    It starts with the first of either. Leaving the iteration early or interrupting it
    (KeyboardInterrupt) cancels the work. Errors of the work are raised to whoever waits for it.
    """

    def __init__(self, operation: progress.Operation[T], calls: Calls) -> None:
        self._operation = operation
        self._calls = calls

    # More than an iterator: who leaves early closes it.
    def __iter__(self) -> Generator[progress.Event, None, None]:  # noqa: PYI058
        return self._calls.read(self._operation)

    def result(self) -> T:
        """What the operation gave; waits for it, unless it was iterated to its end."""
        with contextlib.suppress(LookupError):
            return self._operation.result
        return self._calls.call(lambda: self._operation)


class Archive(io.RawIOBase):
    """A tar archive to be read once, as a binary file or, iterated, in chunks of some size.

    `size` is the number of all its bytes, where it is known beforehand.
    """

    def __init__(self, chunks: Iterator[bytes], size: int | None) -> None:
        super().__init__()
        self.size = size
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill `buffer` as far as the chunk at hand goes; 0 at the end."""
        room, piece = memoryview(buffer).cast("B"), self._next()
        count = min(len(room), len(piece))
        room[:count] = piece[:count]
        self._rest = piece[count:]
        return count

    def __next__(self) -> bytes:
        if not (piece := self._next()):
            raise StopIteration
        return bytes(piece)

    def _next(self) -> memoryview:
        """What was left of a chunk, or else the next one; empty at the end."""
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        piece, self._rest = self._rest, memoryview(b"")
        while not piece and (chunk := next(self._chunks, None)) is not None:
            piece = memoryview(chunk)
        return piece


# Each takes an operation of `AsyncApi` and gives the method of `Api` that stands for it.


def _call(
    operation: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["Api", P], T]:
    """For a coroutine: what it gives."""

    @functools.wraps(operation)
    def method(self: "Api", /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = self._calls.call(lambda: self._bound(operation)(*args, **kwargs))
        return result

    return method


def _operation(
    operation: Callable[Concatenate[Any, P], progress.Operation[T]],
) -> Callable[Concatenate["Api", P], Operation[T]]:
    """For what reports progress: an `Operation`, which does not wait for a loop."""

    @functools.wraps(operation)
    def method(self: "Api", /, *args: P.args, **kwargs: P.kwargs) -> Operation[T]:
        return Operation(self._bound(operation)(*args, **kwargs), self._calls)

    return method


def _archive(
    operation: Callable[Concatenate[Any, P], AbstractAsyncContextManager[ByteStream]],
) -> Callable[Concatenate["Api", P], AbstractContextManager[Archive]]:
    """For a stream of bytes: an `Archive`, to be read while the context lasts."""

    @functools.wraps(operation)
    @contextlib.contextmanager
    def method(self: "Api", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[Archive]:
        calls = self._calls
        with (
            calls.entered(self._bound(operation)(*args, **kwargs)) as stream,
            contextlib.closing(calls.read(stream)) as chunks,
            Archive(chunks, stream.size) as archive,
        ):
            yield archive

    return method


def _items(
    operation: Callable[Concatenate[Any, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate["Api", P], Generator[T, None, None]]:
    """For a generator: one that waits for each item."""

    @functools.wraps(operation)
    def method(self: "Api", /, *args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
        return self._calls.read(self._bound(operation)(*args, **kwargs))

    return method


class Api:
    """`ImageApi` and `SystemApi` for code without an event loop; made by `use`.

    Parameters, results and errors are those of the operations there. Bytes go in as a path, an open
    binary file or an iterable of chunks. Any number of threads may call at once. An interrupted
    call (KeyboardInterrupt) is cancelled before the exception goes on.
    """

    def __init__(self, api: AsyncApi, calls: Calls) -> None:
        self._api = api
        self._calls = calls

    def _bound(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._api, operation.__name__)
        return method

    build_prune = _call(ImageApi.build_prune)
    image_build = _operation(ImageApi.image_build)
    image_commit = _call(ImageApi.image_commit)
    image_create = _operation(ImageApi.image_create)
    image_delete = _call(ImageApi.image_delete)
    image_get = _archive(ImageApi.image_get)
    image_get_all = _archive(ImageApi.image_get_all)
    image_history = _call(ImageApi.image_history)
    image_inspect = _call(ImageApi.image_inspect)
    image_list = _call(ImageApi.image_list)
    image_load = _operation(ImageApi.image_load)
    image_prune = _call(ImageApi.image_prune)
    image_push = _operation(ImageApi.image_push)
    image_search = _call(ImageApi.image_search)
    image_tag = _call(ImageApi.image_tag)

    system_auth = _call(SystemApi.system_auth)
    distribution_inspect = _call(SystemApi.distribution_inspect)
    system_ping = _call(SystemApi.system_ping)
    system_version = _call(SystemApi.system_version)
    system_info = _call(SystemApi.system_info)
    system_data_usage = _call(SystemApi.system_data_usage)
    system_events = _items(SystemApi.system_events)


@contextlib.contextmanager
def use(manager: AbstractAsyncContextManager[AsyncApi]) -> Iterator[Api]:
    """Open what ``Engine.open(…)`` or ``Client.connect(…)`` gives, on a loop in its own thread.

    At the end the calls of other threads that still run are cancelled. Raises what opening raises.
    """
    with (
        running_loop() as loop,
        Calls(loop) as outer,
        outer.entered(manager) as api,
        Calls(loop) as calls,
    ):
        yield Api(api, calls)
