"""``lamina rmi``: remove names and images."""

import click

from lamina.cli.names import complete_image
from lamina.cli.target import Target, target_options


@click.command(name="rmi")
@target_options
@click.option(
    "-f", "--force", is_flag=True, help="Remove an image with all its names; ignore missing ones."
)
@click.option("--no-prune", is_flag=True, help="Keep untagged parents.")
@click.argument("names", nargs=-1, required=True, metavar="IMAGE...", shell_complete=complete_image)
def command(target: Target, *, force: bool, no_prune: bool, names: tuple[str, ...]) -> None:
    """Remove names of images, and the images that have none left."""
    from lamina.cli.running import fail, run

    async def main() -> tuple[list[str], bool]:
        from lamina.errors import LaminaError, NotFound

        errors: list[str] = []
        fatal = False
        async with target.open() as api:
            for name in names:
                try:
                    items = await api.image_delete(name, force=force, noprune=no_prune)
                except LaminaError as error:
                    errors.append(str(error))
                    fatal = fatal or not (force and isinstance(error, NotFound))
                    continue
                for item in items:
                    click.echo(
                        f"Deleted: {item.deleted}" if item.deleted else f"Untagged: {item.untagged}"
                    )
        return errors, fatal

    errors, fatal = run(main())
    if fatal:
        fail(errors)
    for error in errors:
        click.echo(error, err=True)
