"""``lamina search``: repositories in a registry."""

import click

from lamina.cli.target import Target, target_options

_SHORT = 45


@click.command(name="search")
@target_options
@click.option(
    "-f", "--filter", "filters", multiple=True, metavar="NAME=VALUE", help="stars, is-official."
)
@click.option("--limit", type=int, default=25, show_default=True, help="How many at most.")
@click.option("--no-trunc", is_flag=True, help="Show whole descriptions.")
@click.option("--format", default="", help="table, json or a template.")
@click.argument("term")
def command(
    target: Target,
    *,
    filters: tuple[str, ...],
    limit: int,
    no_trunc: bool,
    format: str,
    term: str,
) -> None:
    """Search Docker Hub, or the registry that TERM begins with (registry.example.com/term)."""
    from lamina.cli.filters import parse_filters
    from lamina.cli.running import run
    from lamina.cli.table import Table

    table = Table(
        {
            "Name": "NAME",
            "Description": "DESCRIPTION",
            "StarCount": "STARS",
            "IsOfficial": "OFFICIAL",
            "IsAutomated": "AUTOMATED",
        },
        ("Name", "Description", "StarCount", "IsOfficial"),
    )

    async def main() -> None:
        from lamina.registry.search import parse_term

        wanted = parse_filters(filters)
        async with target.open() as api:
            auth = await target.registry_auth(parse_term(term).registry)
            found = await api.image_search(term, limit=limit, filters=wanted, x_registry_auth=auth)
        rows = [
            {
                "Name": item.name,
                "Description": _shortened(item.description, whole=no_trunc),
                "StarCount": str(item.star_count),
                "IsOfficial": "[OK]" if item.is_official else "",
                "IsAutomated": "[OK]" if item.is_automated else "",
            }
            for item in found
        ]
        click.echo(table.render(rows, format=format), nl=False)

    run(main())


def _shortened(text: str, *, whole: bool) -> str:
    text = " ".join(text.splitlines())
    return text if whole or len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"
