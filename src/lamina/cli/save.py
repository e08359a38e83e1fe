"""``lamina save``: images as a tar archive."""

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from lamina.cli.names import complete_image
from lamina.cli.target import Target, target_options


@click.command(name="save")
@target_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to this file instead of stdout.",
)
@click.argument("names", nargs=-1, required=True, metavar="IMAGE...", shell_complete=complete_image)
def command(target: Target, *, output: Path | None, names: tuple[str, ...]) -> None:
    """Write images to a tar archive that docker, podman and OCI tools can load.

    A repository without a tag stands for all of its tags. A file appears only when it is complete.
    """
    from lamina.cli.running import run

    if output is None and sys.stdout.isatty():
        raise click.ClickException(
            "cowardly refusing to save to a terminal. Use the -o flag or redirect"
        )

    async def main() -> None:
        from lamina.cli.progress_bars import counted

        async with target.open() as api:
            # One name is asked for by its own operation: it means the same, in the fewest words.
            archive = api.image_get(names[0]) if len(names) == 1 else api.image_get_all(names)
            async with archive as stream:
                with _opened(output) as file:
                    async with contextlib.aclosing(counted(stream, "Saving")) as chunks:
                        async for chunk in chunks:
                            await asyncio.to_thread(file.write, chunk)

    run(main())


@contextlib.contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif output.exists() and not output.is_file():
        # A pipe or a device cannot be replaced by a file.
        with output.open("wb") as file:
            yield file
    else:
        with _replaced(output) as file:
            yield file


@contextlib.contextmanager
def _replaced(output: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `output` when it has been written without an error."""
    handle, name = tempfile.mkstemp(prefix=f".{output.name[:200]}.", dir=output.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        umask = os.umask(0o077)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(output)
    except BaseException:
        Path(name).unlink()
        raise
