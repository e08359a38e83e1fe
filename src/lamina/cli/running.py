"""Running a command's coroutine, and ending as a command line tool should."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from typing import TypeVar

import click

from lamina.cli.plain_text import plain
from lamina.errors import CommandFailed, LaminaError

T = TypeVar("T")

_INTERRUPTED = 130
"""The status that shells give to a program which Ctrl-C ended."""


def run(work: Coroutine[None, None, T]) -> T:
    """Run to the end; an error on purpose becomes ``Error: …`` on stderr and status 1.

    Where a build's command failed, the status is that command's.
    """
    try:
        return asyncio.run(work)
    except CommandFailed as error:
        click.echo(f"Error: {plain(str(error))}", err=True)
        sys.exit(error.code)
    except LaminaError as error:
        raise click.ClickException(plain(str(error))) from error
    except BrokenPipeError:
        # Whoever read our output has seen enough. Nothing may be flushed into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except OSError as error:
        raise click.ClickException(plain(_os_error(error))) from error


def fail(errors: list[str]) -> None:
    """Tell the errors that did not end a command early; if there are any, its status is 1."""
    for error in errors:
        click.echo(f"Error: {plain(error)}", err=True)
    if errors:
        sys.exit(1)


def _os_error(error: OSError) -> str:
    text = error.strerror or str(error)
    return f"{error.filename}: {text}" if error.filename else text
