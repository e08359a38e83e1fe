"""``lamina tree``: what an image's layers contribute to it."""

from typing import TYPE_CHECKING

import click

from lamina.cli.names import complete_image
from lamina.cli.target import Target, target_options

if TYPE_CHECKING:
    from lamina.cli.table import Row
    from lamina.engine.image_files import LayerShare

_COMMAND_WIDTH = 60


@click.command(name="tree")
@target_options
@click.option(
    "--format", "format_", default="", metavar="FORMAT", help="table, json or a template."
)
@click.option("--no-trunc", is_flag=True, help="Show whole IDs and commands.")
@click.argument("image", shell_complete=complete_image)
def command(target: Target, *, format_: str, no_trunc: bool, image: str) -> None:
    """Show an image's layers, base first: their sizes, shares of the whole, and what is wasted.

    Wasted are the bytes of files that a higher layer replaces or removes.
    """
    from lamina.cli.looking import local_engine
    from lamina.cli.running import run
    from lamina.cli.table import Table
    from lamina.units import human_size

    headings = {
        "ID": "LAYER",
        "Size": "SIZE",
        "Share": "SHARE",
        "Wasted": "WASTED",
        "CreatedBy": "CREATED BY",
    }

    async def main() -> None:
        async with local_engine(target) as engine, engine.image_files(image) as files:
            shares = await files.shares()
        total = sum(share.size for share in shares)
        rows = [_row(share, total, no_trunc=no_trunc) for share in shares]
        click.echo(Table(headings, list(headings)).render(rows, format=format_), nl=False)
        if format_ in {"", "table"}:
            wasted = sum(share.hidden for share in shares)
            click.echo(f"{human_size(total, 3)} in {len(shares)} layers, ", nl=False)
            click.echo(f"{human_size(wasted, 3)} of them wasted")

    run(main())


def _row(share: "LayerShare", total: int, *, no_trunc: bool) -> "Row":
    from lamina.cli.image_rows import short_id
    from lamina.units import human_size

    created_by = " ".join(share.created_by.split())
    if not no_trunc and len(created_by) > _COMMAND_WIDTH:
        created_by = created_by[: _COMMAND_WIDTH - 1] + "…"
    return {
        "ID": short_id(str(share.diff_id), no_trunc=no_trunc),
        "Size": human_size(share.size, 3),
        "Share": f"{share.size / total:.0%}" if total else "0%",
        "Wasted": human_size(share.hidden, 3),
        "CreatedBy": created_by,
    }
