"""``lamina prune``: remove images that nothing uses."""

import click

from lamina.cli.confirming import confirmed
from lamina.cli.target import Target, target_options

_WARNINGS = {
    False: "This will remove all dangling images.",
    True: "This will remove all images without at least one container associated to them.",
}


@click.command(name="prune")
@target_options
@click.option(
    "-a", "--all", "all_", is_flag=True, help="Remove all unused images, not just untagged ones."
)
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="KEY=VALUE",
    help="Remove only what matches (until, label).",
)
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
def command(target: Target, *, all_: bool, filters: tuple[str, ...], force: bool) -> None:
    """Remove images without a name; with --all, every image that no container uses."""
    from lamina.cli.running import run

    if not force and not confirmed(_WARNINGS[all_]):
        raise click.ClickException("image prune has been cancelled")

    async def main() -> None:
        from lamina.cli.filters import parse_filters
        from lamina.units import human_size

        wanted = {"dangling": [str(not all_).lower()], **parse_filters(filters)}
        async with target.open() as api:
            report = await api.image_prune(filters=wanted)
        if report.images_deleted:
            click.echo("Deleted Images:")
            for item in report.images_deleted:
                click.echo(
                    f"untagged: {item.untagged}" if item.untagged else f"deleted: {item.deleted}"
                )
            click.echo()
        click.echo(f"Total reclaimed space: {human_size(report.space_reclaimed)}")

    run(main())
