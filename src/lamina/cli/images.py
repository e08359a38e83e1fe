"""``lamina images``: the images there are."""

import time

import click

from lamina.cli.names import complete_image
from lamina.cli.target import Target, target_options


@click.command(name="images")
@target_options
@click.option("-a", "--all", "all_", is_flag=True, help="Show intermediate images too.")
@click.option("--digests", is_flag=True, help="Show digests.")
@click.option(
    "-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE", help="Show only what matches."
)
@click.option(
    "--format", "format_", default="", metavar="FORMAT", help="table, json or a template."
)
@click.option("--no-trunc", is_flag=True, help="Show whole IDs.")
@click.option("-q", "--quiet", is_flag=True, help="Show only IDs.")
@click.argument("repository", required=False, shell_complete=complete_image)
def command(
    target: Target,
    *,
    all_: bool,
    digests: bool,
    filters: tuple[str, ...],
    format_: str,
    no_trunc: bool,
    quiet: bool,
    repository: str | None,
) -> None:
    """List images, newest first; REPOSITORY[:TAG] limits the list and may hold wildcards."""
    from lamina.cli.filters import parse_filters
    from lamina.cli.image_rows import HEADINGS, image_rows
    from lamina.cli.running import run
    from lamina.cli.table import Table

    async def main() -> None:
        wanted = parse_filters((*filters, *([f"reference={repository}"] if repository else [])))
        async with target.open() as api:
            images = await api.image_list(all=all_, filters=wanted, digests=digests)
        fields = ["Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"]
        if not digests:
            fields.remove("Digest")
        rows = image_rows(
            images,
            now=time.time(),
            no_trunc=no_trunc,
            digests=digests or ".Digest" in format_,
        )
        text = Table(HEADINGS, fields).render(list(rows), format=format_, quiet=quiet)
        click.echo(text, nl=False)

    run(main())
