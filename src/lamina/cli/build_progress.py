"""What ``lamina build`` shows of a build: text, events for programs, or a live display."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, Iterator
from typing import Protocol

import click
import msgspec

from lamina.cli.plain_text import one_line, written
from lamina.cli.progress_bars import Bars
from lamina.progress import (
    BuildArchive,
    BuildWarning,
    Event,
    LayerProgress,
    Operation,
    StatusLine,
    StreamText,
)


class _Display(Protocol):
    """Shows one event after another."""

    def show(self, event: Event) -> None: ...

    def close(self) -> None: ...


async def follow(operation: Operation[str], progress: str, *, quiet: bool, to_stderr: bool) -> str:
    """Run a build, showing its `progress` (auto, plain, json); the result is the image's ID.

    `to_stderr`: stdout is for the archive that the build gives.
    """
    display: _Display
    if progress == "json":
        display = _Json(to_stderr=to_stderr)
    elif quiet:
        display = _Quiet()
    elif progress == "auto" and sys.stderr.isatty():
        from lamina.cli.build_display import LiveDisplay

        display = LiveDisplay(to_stderr=to_stderr)
    else:
        display = _Plain(to_stderr=to_stderr)
    with _closing(display):
        events: AsyncGenerator[Event, None] = aiter(operation)
        async with contextlib.aclosing(events):
            async for event in events:
                if isinstance(event, BuildArchive):
                    await asyncio.to_thread(sys.stdout.buffer.write, event.data)
                else:
                    display.show(event)
    if to_stderr:
        sys.stdout.buffer.flush()
    if quiet and progress != "json":
        click.echo(operation.result, err=to_stderr)
    return operation.result


@contextlib.contextmanager
def _closing(display: _Display) -> Iterator[None]:
    try:
        yield
    finally:
        display.close()


class _Json:
    """Every event as an object on a line of its own, with its kind as ``type``."""

    def __init__(self, *, to_stderr: bool) -> None:
        self._to_stderr = to_stderr

    def show(self, event: Event) -> None:
        click.echo(msgspec.json.encode(event), err=self._to_stderr)

    def close(self) -> None:
        pass


class _Plain:
    """The text of the build; bars for what is pulled if there is a terminal.

    What is no terminal has the text as it is, but for its colours.
    """

    def __init__(self, *, to_stderr: bool) -> None:
        self._to_stderr = to_stderr
        self._for_people = (sys.stderr if to_stderr else sys.stdout).isatty()
        self._bars = Bars()

    def show(self, event: Event) -> None:
        match event:
            case StreamText(text):
                self._say(text)
            case StatusLine(text, id):
                self._say(f"{id}: {text}\n" if id else f"{text}\n")
            case LayerProgress(id, action, current, total):
                self._bars.draw(id, f"{id}: {action}", current, total)
            case BuildWarning():
                click.echo(warning_text(event), err=True)
            case _:
                # Steps and their output are told by the text, too.
                pass

    def close(self) -> None:
        self._bars.close()

    def _say(self, text: str) -> None:
        if self._for_people:
            text = written(text)
        if self._to_stderr:
            self._bars.close()
            click.echo(text, nl=False, err=True)
        else:
            self._bars.say(text)


class _Quiet:
    """Nothing, unless the build fails: then what it said, which the engine has held back."""

    def __init__(self) -> None:
        self._last = ""

    def show(self, event: Event) -> None:
        if not isinstance(event, StreamText):
            return
        # The ID comes last, and alone; whatever something comes after is of a build that failed.
        self._say()
        self._last = event.text

    def close(self) -> None:
        if not self._last.startswith("sha256:"):
            self._say()

    def _say(self) -> None:
        text = written(self._last) if sys.stderr.isatty() else self._last
        click.echo(text, nl=False, err=True)


def warning_text(warning: BuildWarning) -> str:
    """One line on what a build check found."""
    where = f" (line {warning.first_line})" if warning.first_line else ""
    return one_line(f"WARNING: {warning.rule}: {warning.detail}{where}")
