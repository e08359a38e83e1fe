"""``lamina diff``: what changed from one image to another."""

import json

import click

from lamina.cli.names import complete_image
from lamina.cli.target import Target, target_options


@click.command(name="diff")
@target_options
@click.option("--format", "format_", type=click.Choice(["json"]), help="One JSON object a line.")
@click.argument("old", shell_complete=complete_image)
@click.argument("new", shell_complete=complete_image)
def command(target: Target, *, format_: str | None, old: str, new: str) -> None:
    """Show the paths that differ between two images: A added, C changed, D deleted.

    They are read from the layers' indexes, so a file whose size, time and attributes are the same
    counts as unchanged.
    """
    from lamina.cli.looking import local_engine, shown
    from lamina.cli.running import run
    from lamina.layers.changes import ChangeKind

    letters = {ChangeKind.ADDED: "A", ChangeKind.MODIFIED: "C", ChangeKind.DELETED: "D"}

    async def main() -> None:
        async with (
            local_engine(target) as engine,
            engine.image_files(old) as before,
            engine.image_files(new) as after,
        ):
            changes = await after.changes(before)
        for change in changes:
            if format_:
                click.echo(json.dumps({"Kind": letters[change.kind], "Path": change.path}))
            else:
                click.echo(letters[change.kind].encode() + b" " + shown(change.path))

    run(main())
