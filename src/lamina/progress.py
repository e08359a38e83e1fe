"""Progress as typed events, and the operations that report it.

An operation that takes its time (load, import, pull, push, build) gives an `Operation`: iterate it
to see its events, or await it for its result alone. `lamina.api.messages` renders the events as
Docker's JSON messages and reads them back; the command line draws them as bars.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any, Generic, Literal, TypeVar

import msgspec

T = TypeVar("T")


class StatusLine(msgspec.Struct, frozen=True, tag=True):
    """A line of its own, such as ``Digest: sha256:…``; `id` names what it is about, if it does."""

    text: str
    id: str | None = None


class LayerProgress(msgspec.Struct, frozen=True, tag=True):
    """What happens to one layer; `action` is Docker's word for it, such as ``Pull complete``.

    `current` and `total` are bytes; both None for a change of state without an amount.
    """

    id: str
    action: str
    current: int | None = None
    total: int | None = None


class StreamText(msgspec.Struct, frozen=True, tag=True):
    """Text for the user's terminal as it stands, line end included."""

    text: str


class Aux(msgspec.Struct, frozen=True, tag=True):
    """A value for programs, such as the ID of a built image.

    `is_progress`: it says what became of a transfer, as a push does of each tag.
    """

    value: dict[str, Any]
    is_progress: bool = False


class BuildStep(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """A change of state of one step of a build.

    Steps of stages that are built side by side come as they happen, unlike the `StreamText` of the
    same build, which keeps the order of the Dockerfile; over HTTP all comes in that order. `stage`
    is the stage's name or ``stage-<index>``; `number` and `total` are those of the text
    (``Step 2/5``). `time` is in unix nanoseconds. A step that was started and is not told of again
    was cancelled.
    """

    id: str
    stage: str
    number: int
    total: int
    text: str
    state: Literal["started", "cached", "completed", "failed"]
    time: int


class BuildOutput(msgspec.Struct, frozen=True, tag=True):
    """What the command of a build's step wrote, as it came; `step` is the step's ID."""

    step: str
    text: str
    is_stderr: bool = False


class BuildArchive(msgspec.Struct, frozen=True, tag=True):
    """The next bytes of the archive that an output of a build is whose ``dest`` is ``-``.

    They come when the build has succeeded; 64 KiB at most.
    """

    data: bytes


class BuildWarning(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What a build check found: the `rule`'s name and address, and the lines it is about.

    `image` is the ID of what was built all the same.
    """

    image: str

    rule: str
    detail: str
    url: str
    first_line: int
    last_line: int


Event = (
    StatusLine
    | LayerProgress
    | StreamText
    | Aux
    | BuildStep
    | BuildOutput
    | BuildArchive
    | BuildWarning
)
Report = Callable[[Event], Awaitable[None]]


class Operation(Generic[T]):
    """Work in progress: iterate it for its events (``async for``), or await it for its result.

    It starts when it is first iterated or awaited. Leaving the iteration early, or cancelling the
    awaiting task, cancels the work. Events wait in a short queue, so a slow reader slows the work
    down instead of filling memory. Errors of the work are raised to whoever iterates or awaits.
    """

    _QUEUE_LENGTH = 64

    def __init__(self, work: Callable[[Report], Awaitable[T]]) -> None:
        self._work = work
        self._started = False
        self._result: list[T] = []

    @property
    def result(self) -> T:
        """What the operation gave; LookupError until it has ended well."""
        if not self._result:
            raise LookupError("the operation has not ended")
        return self._result[0]

    # More than an iterator: who leaves early closes it.
    def __aiter__(self) -> AsyncGenerator[Event, None]:  # noqa: PYI058
        return self._events()

    def __await__(self) -> Generator[Any, None, T]:
        return self._drain().__await__()

    async def _drain(self) -> T:
        async with contextlib.aclosing(self._events()) as events:
            async for _ in events:
                pass
        return self.result

    async def _events(self) -> AsyncGenerator[Event, None]:
        if self._started:
            raise RuntimeError("an operation runs once")
        self._started = True
        queue: asyncio.Queue[Event | None] = asyncio.Queue(self._QUEUE_LENGTH)

        def wake(_: object) -> None:
            # With a full queue the reader is awake anyway, and sees that the task is done.
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(None)

        async def run() -> T:
            return await self._work(queue.put)

        task = asyncio.create_task(run())
        task.add_done_callback(wake)
        try:
            while not (task.done() and queue.empty()):
                if (event := await queue.get()) is not None:
                    yield event
            self._result.append(await task)
        finally:
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
