"""``lamina pull``: images out of a registry."""

import click

from lamina.cli.target import Target, target_options


@click.command(name="pull")
@target_options
@click.option("-a", "--all-tags", is_flag=True, help="Pull all tags of the repository.")
@click.option("--platform", default="", metavar="OS/ARCH", help="Of a multi-platform image.")
@click.option("-q", "--quiet", is_flag=True, help="Print the name alone.")
@click.option("--format", type=click.Choice(["json"]), help="Print progress as JSON lines.")
@click.argument("name", metavar="NAME[:TAG|@DIGEST]")
def command(
    target: Target, *, all_tags: bool, platform: str, quiet: bool, format: str | None, name: str
) -> None:
    """Pull an image, or all tags of a repository.

    What is here already is not pulled again; what was broken off goes on where it stopped.
    Credentials are those of docker login and lamina login.
    """
    from lamina.cli.running import run

    async def main() -> None:
        from lamina.cli.registry_progress import follow, wanted_reference

        reference, is_default = wanted_reference(name, all_tags=all_tags)
        async with target.open() as api:
            auth = await target.registry_auth(reference.domain)
            if is_default and not (quiet or format):
                click.echo("Using default tag: latest")
            operation = api.image_create(
                from_image=str(reference), platform=platform, x_registry_auth=auth
            )
            await follow(operation, quiet=quiet, as_json=format == "json")
        if not format:
            click.echo(str(reference))

    run(main())
