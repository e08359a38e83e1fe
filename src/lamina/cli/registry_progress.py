"""What pulls and pushes are of, and their progress: lines for people or programs, or bars."""

import contextlib
from typing import TypeVar

import click

from lamina.cli.plain_text import one_line
from lamina.cli.progress_bars import Bars
from lamina.errors import InvalidParameter
from lamina.oci.reference import Reference
from lamina.progress import LayerProgress, Operation, StatusLine

T = TypeVar("T")


def wanted_reference(name: str, *, all_tags: bool) -> tuple[Reference, bool]:
    """What a name on the command line means, and whether the tag ``latest`` was put to it.

    Raises InvalidReference, InvalidParameter.
    """
    reference = Reference.parse(name)
    if all_tags and not reference.is_bare:
        raise InvalidParameter("tag can't be used with --all-tags/-a")
    is_default = reference.is_bare and not all_tags
    return reference.with_default_tag() if is_default else reference, is_default


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
                    line = f"{event.id}: {event.text}" if event.id else event.text
                    bars.say(f"{one_line(line)}\n")
                elif isinstance(event, LayerProgress):
                    label = f"{event.id}: {event.action}"
                    bars.draw(event.id, label, event.current, event.total)
    return operation.result
