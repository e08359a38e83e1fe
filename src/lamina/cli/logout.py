"""``lamina logout``: forget who the user is at a registry."""

import os

import click


@click.command(name="logout")
@click.argument("server", default="", metavar="[SERVER]")
def command(*, server: str) -> None:
    """Log out from a registry: Docker Hub, if there is no SERVER."""
    from lamina.cli.running import run

    async def main() -> None:
        from lamina.cli.registries import docker_config
        from lamina.registry.credentials import key_of, registry_of

        registry = registry_of(server)
        if await docker_config(os.environ).erase(registry):
            click.echo(f"Removing login credentials for {key_of(registry)}")
        else:
            click.echo(f"Not logged in to {key_of(registry)}")

    run(main())
