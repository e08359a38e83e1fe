"""``lamina push``: images into a registry."""

import click

from lamina.cli.names import complete_image
from lamina.cli.target import Target, target_options


@click.command(name="push")
@target_options
@click.option("-a", "--all-tags", is_flag=True, help="Push all tags of the repository.")
@click.option("-q", "--quiet", is_flag=True, help="Print the name alone.")
@click.option("--format", type=click.Choice(["json"]), help="Print progress as JSON lines.")
@click.argument("name", metavar="NAME[:TAG]", shell_complete=complete_image)
def command(target: Target, *, all_tags: bool, quiet: bool, format: str | None, name: str) -> None:
    """Push a tag, or all tags of a repository, to the registry that its name begins with.

    What the registry has already is not sent again. An image that was pulled keeps its digest.
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
            repository = str(reference.without_tag_and_digest())
            if reference.digest is not None:
                repository = str(reference)
            operation = api.image_push(repository, tag=reference.tag or "", x_registry_auth=auth)
            await follow(operation, quiet=quiet, as_json=format == "json")
        if quiet:
            click.echo(str(reference))

    run(main())
