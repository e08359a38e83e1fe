"""``lamina commit``: an image of a container's files and configuration."""

import click

from lamina.cli.target import Target, target_options


@click.command(name="commit")
@target_options
@click.option("-m", "--message", default="", help="Comment of the image.")
@click.option("-a", "--author", default="", metavar="NAME", help="Author of the image.")
@click.option(
    "-c",
    "--change",
    "changes",
    multiple=True,
    metavar="INSTRUCTION",
    help="Apply a Dockerfile instruction.",
)
@click.option("-p", "--pause/--no-pause", default=True, help="Hold the container up.  [pause]")
@click.argument("container", metavar="CONTAINER")
@click.argument("name", required=False, metavar="[REPOSITORY[:TAG]]")
def command(
    target: Target,
    *,
    message: str,
    author: str,
    changes: tuple[str, ...],
    pause: bool,
    container: str,
    name: str | None,
) -> None:
    """Make an image of what a container has changed; its ID is printed."""
    from lamina.cli.running import run

    async def main() -> str:
        from lamina.oci.reference import Reference

        reference = None if name is None else Reference.parse(name)
        async with target.open() as api:
            made = await api.image_commit(
                container,
                repo="" if reference is None else name or "",
                comment=message,
                author=author,
                changes=changes,
                pause=pause,
            )
        return made.id

    click.echo(run(main()))
