"""``lamina cat``: a file of an image."""

import sys

import click

from lamina.cli.names import complete_image
from lamina.cli.target import Target, target_options


@click.command(name="cat")
@target_options
@click.argument("image", shell_complete=complete_image)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
def command(target: Target, *, image: str, paths: tuple[str, ...]) -> None:
    """Write files of an image to stdout, straight out of its layers."""
    from lamina.cli.looking import local_engine
    from lamina.cli.running import run

    async def main() -> None:
        async with local_engine(target) as engine, engine.image_files(image) as files:
            for path in paths:
                async for piece in files.read(path):
                    sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()

    run(main())
