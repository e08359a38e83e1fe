"""Progress of running operations on a terminal; on anything else they run in silence."""

import contextlib
import sys
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, TypeVar

import click

from lamina.cli.plain_text import one_line, plain
from lamina.progress import LayerProgress, Operation, StreamText
from lamina.streams import ByteStream

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

T = TypeVar("T")


class Bars:
    """Bars on stderr that appear with the first thing to draw, and make way for text on stdout."""

    def __init__(self) -> None:
        self._visible = sys.stderr.isatty()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def draw(self, key: str, label: str, current: int | None, total: int | None) -> None:
        """Show how far the thing `key` has come, in bytes; without `current` only the label."""
        if not self._visible:
            return
        label = one_line(label)
        if self._progress is None:
            self._progress = _started()
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(label, total=total)
        task = self._tasks[key]
        if current is None:
            self._progress.update(task, description=label)
        else:
            self._progress.update(task, description=label, completed=current, total=total)

    def say(self, text: str) -> None:
        """Print below what has been drawn."""
        self.close()
        click.echo(text, nl=False)

    def close(self) -> None:
        """Leave what has been drawn as it is."""
        if self._progress is not None:
            self._progress.stop()
        self._progress = None
        self._tasks.clear()


async def follow(operation: Operation[T]) -> T:
    """Run an operation, with a bar for each layer; text meant for the user goes to stdout."""
    with contextlib.closing(Bars()) as bars:
        async with contextlib.aclosing(aiter(operation)) as events:
            async for event in events:
                if isinstance(event, StreamText):
                    bars.say(plain(event.text))
                elif isinstance(event, LayerProgress):
                    label = f"{event.id}: {event.action}"
                    bars.draw(event.id, label, event.current, event.total)
    return operation.result


async def counted(stream: ByteStream, label: str) -> AsyncGenerator[bytes, None]:
    """The chunks of a stream, with a bar for how many of its bytes have gone by."""
    done = 0
    with contextlib.closing(Bars()) as bars:
        async for chunk in stream:
            yield chunk
            done += len(chunk)
            bars.draw("", label, done, stream.size)


def _started() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    # Layer IDs and names are shown as they are, not as markup.
    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), DownloadColumn(), TransferSpeedColumn())
    progress = Progress(*columns, console=Console(stderr=True), redirect_stdout=False)
    progress.start()
    return progress
