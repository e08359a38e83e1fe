"""``lamina login``: remember who the user is at a registry."""

import os
import sys

import click


@click.command(name="login")
@click.option("-u", "--username", default="", help="User name.")
@click.option("-p", "--password", default="", help="Password, which others may see.")
@click.option("--password-stdin", is_flag=True, help="Read the password from stdin.")
@click.argument("server", default="", metavar="[SERVER]")
def command(*, username: str, password: str, password_stdin: bool, server: str) -> None:
    """Log in to a registry: Docker Hub, if there is no SERVER.

    What it accepted is kept where docker's own client keeps it: by a credential helper, if one is
    configured, or in config.json.
    """
    from lamina.cli.running import run

    if password_stdin:
        if password:
            raise click.ClickException("--password and --password-stdin are mutually exclusive")
        if not username:
            raise click.ClickException("Must provide --username with --password-stdin")
        password = sys.stdin.read().rstrip("\r\n")

    async def main() -> None:
        import msgspec

        from lamina.cli.registries import docker_config, open_registries
        from lamina.registry.credentials import AuthConfig, registry_of
        from lamina.registry.login import log_in

        registry = registry_of(server)
        kept = docker_config(os.environ)
        known = None if username or password else await kept.find(registry)
        if known is not None:
            click.echo("Authenticating with existing credentials...")
            given = msgspec.structs.replace(known, serveraddress=registry)
        else:
            user, secret = _asked(username, password)
            given = AuthConfig(username=user, password=secret, serveraddress=registry)
        async with open_registries(os.environ) as registries:
            login = await log_in(registries, given)
        if login.identity_token:
            given = msgspec.structs.replace(given, password="", identitytoken=login.identity_token)
        await kept.store(registry, given)
        click.echo(login.status)

    run(main())


def _asked(username: str, password: str) -> tuple[str, str]:
    """What was not given, from the terminal."""
    if not (username and password) and not sys.stdin.isatty():
        raise click.ClickException("Cannot perform an interactive login from a non TTY device")
    if not username:
        username = click.prompt("Username")
    if not password:
        password = click.prompt("Password", hide_input=True)
    return username, password
