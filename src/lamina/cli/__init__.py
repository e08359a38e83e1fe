"""The command ``lamina``: one file a command, imported when it runs."""

import importlib
import sys
from typing import NoReturn

import click

from lamina import __version__
from lamina.errors import LaminaError

COMMANDS: dict[str, str] = {
    "serve": "Serve the Docker Engine API.",
}
"""Commands and their summaries. ``some-command`` is `command` in ``lamina/cli/some_command.py``."""


class _Commands(click.Group):
    """A group that knows its commands by name and imports only the one that is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"lamina.cli.{cmd_name.replace('-', '_')}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lamina", message="%(prog)s %(version)s")
def lamina() -> None:
    """Load, list, save and serve container images, with or without a daemon."""


def main() -> NoReturn:
    """Run the command line; an error on purpose is one line on stderr and status 1."""
    try:
        lamina()
    except LaminaError as error:
        click.echo(f"lamina: {error}", err=True)
    except OSError as error:
        click.echo(f"lamina: {error}", err=True)
    sys.exit(1)
