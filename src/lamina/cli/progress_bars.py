"""Progress of running operations on a terminal; on anything else they run in silence."""

import contextlib
import sys
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, TypeVar

import click

from lamina.progress import LayerProgress, Operation, StreamText
from lamina.streams import ByteStream

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

T = TypeVar("T")


async def follow(operation: Operation[T]) -> T:
    """Run an operation, with a bar for each layer; text meant for the user goes to stdout."""
    async with contextlib.aclosing(aiter(operation)) as events:
        with _bars() as bars:
            tasks: dict[str, TaskID] = {}
            async for event in events:
                if isinstance(event, StreamText):
                    click.echo(event.text, nl=False)
                elif isinstance(event, LayerProgress) and bars is not None:
                    _draw(bars, tasks, event)
    return operation.result


async def counted(stream: ByteStream, label: str) -> AsyncIterator[bytes]:
    """The chunks of a stream, with a bar for how many of its bytes have gone by."""
    with _bars() as bars:
        task = None if bars is None else bars.add_task(label, total=stream.size)
        async for chunk in stream:
            yield chunk
            if bars is not None and task is not None:
                bars.advance(task, len(chunk))


def _draw(bars: "Progress", tasks: "dict[str, TaskID]", event: LayerProgress) -> None:
    description = f"{event.id}: {event.action}"
    if event.id not in tasks:
        tasks[event.id] = bars.add_task(description, total=event.total)
    task = tasks[event.id]
    if event.current is None:
        bars.update(task, description=description)
    else:
        bars.update(task, description=description, completed=event.current, total=event.total)


@contextlib.contextmanager
def _bars() -> "Iterator[Progress | None]":
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    # Layer IDs and names are shown as they are, not as markup.
    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        yield bars
