"""``lamina history``: the steps that made an image."""

import time
from typing import TYPE_CHECKING

import click

from lamina.cli.names import complete_image
from lamina.cli.target import Target, target_options

if TYPE_CHECKING:
    from lamina.cli.table import Row
    from lamina.models import HistoryResponseItem

_COMMAND_WIDTH = 45


@click.command(name="history")
@target_options
@click.option(
    "--format", "format_", default="", metavar="FORMAT", help="table, json or a template."
)
@click.option("--human/--no-human", default=True, help="Sizes and ages for people.  [on]")
@click.option("--no-trunc", is_flag=True, help="Show whole IDs and commands.")
@click.option("-q", "--quiet", is_flag=True, help="Show only IDs.")
@click.argument("image", shell_complete=complete_image)
def command(
    target: Target, *, format_: str, human: bool, no_trunc: bool, quiet: bool, image: str
) -> None:
    """Show the steps that made an image, newest first."""
    from lamina.cli.running import run
    from lamina.cli.table import Table

    headings = {
        "ID": "IMAGE",
        "CreatedSince": "CREATED" if human else "CREATED AT",
        "CreatedAt": "CREATED AT",
        "CreatedBy": "CREATED BY",
        "Size": "SIZE",
        "Comment": "COMMENT",
    }
    fields = ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"]

    async def main() -> None:
        async with target.open() as api:
            items = await api.image_history(image)
        now = time.time()
        rows = [_row(item, now=now, human=human, no_trunc=no_trunc) for item in items]
        click.echo(Table(headings, fields).render(rows, format=format_, quiet=quiet), nl=False)

    run(main())


def _row(item: "HistoryResponseItem", *, now: float, human: bool, no_trunc: bool) -> "Row":
    from lamina.cli.image_rows import short_id
    from lamina.cli.times import age, rfc3339
    from lamina.units import human_size

    created_by = item.created_by.replace("\t", " ")
    if not no_trunc and len(created_by) > _COMMAND_WIDTH:
        created_by = created_by[: _COMMAND_WIDTH - 1] + "…"
    created_at = rfc3339(item.created)
    return {
        "ID": item.id if item.id == "<missing>" else short_id(item.id, no_trunc=no_trunc),
        "CreatedSince": age(item.created, now) if human else created_at,
        "CreatedAt": created_at,
        "CreatedBy": created_by,
        "Size": human_size(item.size, 3) if human else str(item.size),
        "Comment": item.comment,
    }
