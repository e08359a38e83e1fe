"""How asynchronous operations become methods that wait.

Each of the functions here takes an operation of a Protocol, and gives the method of a `Blocking`
that stands for it, with the same parameters.
"""

import contextlib
import functools
import io
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar

from lamina import progress
from lamina.blocking.calls import Calls
from lamina.streams import ByteStream

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Archive", "Blocking", "Operation", "archive", "call", "entered", "items", "operation"]

P = ParamSpec("P")
T = TypeVar("T")
U = TypeVar("U")


class Blocking:
    """Something asynchronous, whose operations are called on the loop of `calls`."""

    def __init__(self, api: object, calls: Calls) -> None:
        self._api = api
        self._calls = calls

    def _bound(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._api, operation.__name__)
        return method


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


def call(
    work: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Blocking, P], T]:
    """For a coroutine: what it gives."""

    @functools.wraps(work)
    def method(self: Blocking, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = self._calls.call(lambda: self._bound(work)(*args, **kwargs))
        return result

    return method


def operation(
    work: Callable[Concatenate[Any, P], progress.Operation[T]],
) -> Callable[Concatenate[Blocking, P], Operation[T]]:
    """For what reports progress: an `Operation`, which does not wait for a loop."""

    @functools.wraps(work)
    def method(self: Blocking, /, *args: P.args, **kwargs: P.kwargs) -> Operation[T]:
        return Operation(self._bound(work)(*args, **kwargs), self._calls)

    return method


def archive(
    work: Callable[Concatenate[Any, P], AbstractAsyncContextManager[ByteStream]],
) -> Callable[Concatenate[Blocking, P], AbstractContextManager[Archive]]:
    """For a stream of bytes: an `Archive`, to be read while the context lasts."""

    @functools.wraps(work)
    @contextlib.contextmanager
    def method(self: Blocking, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[Archive]:
        calls = self._calls
        with (
            calls.entered(self._bound(work)(*args, **kwargs)) as stream,
            contextlib.closing(calls.read(stream)) as chunks,
            Archive(chunks, stream.size) as archive,
        ):
            yield archive

    return method


def items(
    work: Callable[Concatenate[Any, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate[Blocking, P], Generator[T, None, None]]:
    """For a generator: one that waits for each item."""

    @functools.wraps(work)
    def method(self: Blocking, /, *args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
        return self._calls.read(self._bound(work)(*args, **kwargs))

    return method


def entered(
    work: Callable[Concatenate[Any, P], AbstractAsyncContextManager[T]],
    make: Callable[[T, Calls], AbstractContextManager[U]],
) -> Callable[Concatenate[Blocking, P], AbstractContextManager[U]]:
    """For a context: what `make` makes of what is entered, to be used while the context lasts."""

    @functools.wraps(work)
    @contextlib.contextmanager
    def method(self: Blocking, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[U]:
        calls = self._calls
        with (
            calls.entered(self._bound(work)(*args, **kwargs)) as value,
            make(value, calls) as made,
        ):
            yield made

    return method
