"""``lamina save``: images as a tar archive."""

import asyncio
import contextlib
import sys
from pathlib import Path

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
        from lamina.cli.written_file import written_file

        async with target.open() as api:
            # One name is asked for by its own operation: it means the same, in the fewest words.
            archive = api.image_get(names[0]) if len(names) == 1 else api.image_get_all(names)
            async with (
                archive as stream,
                written_file(output) as file,
                contextlib.aclosing(counted(stream, "Saving")) as chunks,
            ):
                async for chunk in chunks:
                    await asyncio.to_thread(file.write, chunk)

    run(main())
