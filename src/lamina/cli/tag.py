"""``lamina tag``: another name for an image."""

import click

from lamina.cli.names import complete_image
from lamina.cli.target import Target, target_options


@click.command(name="tag")
@target_options
@click.argument("source", metavar="SOURCE_IMAGE[:TAG]", shell_complete=complete_image)
@click.argument("name", metavar="TARGET_IMAGE[:TAG]")
def command(target: Target, *, source: str, name: str) -> None:
    """Make TARGET_IMAGE another name of SOURCE_IMAGE; an existing tag moves."""
    from lamina.cli.running import run

    async def main() -> None:
        from lamina.errors import InvalidReference
        from lamina.oci.reference import Reference

        reference = Reference.parse(name)
        if reference.digest is not None:
            raise InvalidReference("refusing to create a tag with a digest reference", text=name)
        async with target.open() as api:
            await api.image_tag(source, repo=reference.familiar_name, tag=reference.tag or "latest")

    run(main())
