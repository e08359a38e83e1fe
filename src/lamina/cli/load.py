"""``lamina load``: the images of a tar archive."""

import sys
from pathlib import Path

import click

from lamina.cli.target import Target, target_options


@click.command(name="load")
@target_options
@click.option(
    "-i",
    "--input",
    "archive",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Read this file instead of stdin.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def command(target: Target, *, archive: Path | None, quiet: bool) -> None:
    """Load every image of an archive made by docker save, podman save or an OCI tool."""
    from lamina.cli.running import run

    if archive is None and sys.stdin.isatty():
        raise click.ClickException("requested load from stdin, but stdin is empty")

    async def main() -> None:
        from lamina.cli.progress_bars import follow

        # Opened before anything is asked of the engine: a missing file is told first.
        with sys.stdin.buffer if archive is None else archive.open("rb") as source:
            async with target.open() as api:
                silent = quiet or not sys.stderr.isatty()
                await follow(api.image_load(source, quiet=silent))

    run(main())
