"""``lamina import``: an image out of a root filesystem's tarball."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from lamina.cli.target import Target, target_options


@click.command(name="import")
@target_options
@click.option(
    "-c",
    "--change",
    "changes",
    multiple=True,
    metavar="INSTRUCTION",
    help="Apply a Dockerfile instruction.",
)
@click.option("-m", "--message", default="", help="Comment of the image.")
@click.option(
    "--platform", default="", metavar="OS[/ARCH]", help="Platform of the image.  [this machine's]"
)
@click.argument("source", metavar="FILE|URL|-")
@click.argument("name", required=False, metavar="[REPOSITORY[:TAG]]")
def command(
    target: Target,
    *,
    changes: tuple[str, ...],
    message: str,
    platform: str,
    source: str,
    name: str | None,
) -> None:
    """Make an image of one layer out of a tarball: a file, a URL or stdin."""
    from lamina.cli.running import run

    async def main() -> str:
        from lamina.cli.progress_bars import follow
        from lamina.oci.reference import Reference

        reference = None if name is None else Reference.parse(name)
        with _opened(source) as file:
            async with target.open() as api:
                return await follow(
                    api.image_create(
                        from_src=source if file is None else "-",
                        repo="" if reference is None else name or "",
                        message=message,
                        changes=changes,
                        platform=platform,
                        input_image=file,
                    )
                )

    click.echo(run(main()))


@contextlib.contextmanager
def _opened(source: str) -> Iterator[BinaryIO | None]:
    if source.startswith(("http://", "https://")):
        yield None
    elif source == "-":
        yield sys.stdin.buffer
    else:
        with Path(source).open("rb") as file:
            yield file
