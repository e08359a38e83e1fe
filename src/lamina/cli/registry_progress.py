"""Progress of pulls and pushes: lines for people or programs, and bars on a terminal."""

import contextlib
from typing import TypeVar

import click

from lamina.cli.progress_bars import Bars
from lamina.progress import LayerProgress, Operation, StatusLine

T = TypeVar("T")


async def follow(operation: Operation[T], *, quiet: bool, as_json: bool) -> T:
    """Run the operation: its lines go to stdout, its layers become bars on a terminal.

    `as_json`: all of it as the messages of the Engine API, one a line, instead.
    """
    with contextlib.closing(Bars()) as bars:
        async with contextlib.aclosing(aiter(operation)) as events:
            async for event in events:
                if as_json:
                    from lamina.api.messages import encode

                    click.echo(encode(event).decode().rstrip())
                elif quiet:
                    continue
                elif isinstance(event, StatusLine):
                    bars.say(f"{event.id}: {event.text}\n" if event.id else f"{event.text}\n")
                elif isinstance(event, LayerProgress):
                    label = f"{event.id}: {event.action}"
                    bars.draw(event.id, label, event.current, event.total)
    return operation.result
