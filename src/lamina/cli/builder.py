"""``lamina builder``: what builds keep beside images."""

import click

from lamina.cli.build_options import size
from lamina.cli.confirming import confirmed
from lamina.cli.target import Target, target_options

_WARNINGS = {
    False: "This will remove all dangling build cache.",
    True: "This will remove all build cache.",
}


@click.group(name="builder")
def command() -> None:
    """Manage what builds keep beside images."""


@command.command(name="prune")
@target_options
@click.option(
    "-a", "--all", "all_", is_flag=True, help="Remove all that no build uses, not just dangling."
)
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Remove only what matches (until, unused-for, id, type, …).",
)
@click.option("--keep-storage", default="", metavar="BYTES", help="Leave this much of it.")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
def prune(
    target: Target, *, all_: bool, filters: tuple[str, ...], keep_storage: str, force: bool
) -> None:
    """Remove the contents of cache mounts, the longest unused first."""
    from lamina.cli.running import run

    if not force and not confirmed(_WARNINGS[all_]):
        raise click.ClickException("builder prune has been cancelled")

    async def main() -> None:
        from lamina.cli.filters import parse_filters
        from lamina.units import human_size

        async with target.open() as api:
            report = await api.build_prune(
                all=all_,
                keep_storage=size(keep_storage, "--keep-storage"),
                filters=parse_filters(filters),
            )
        if report.caches_deleted:
            click.echo("Deleted build cache objects:")
            for id in report.caches_deleted:
                click.echo(id)
            click.echo()
        click.echo(f"Total reclaimed space: {human_size(report.space_reclaimed)}")

    run(main())
