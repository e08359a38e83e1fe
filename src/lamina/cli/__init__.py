"""The command ``lamina``: one file a command, imported when it runs."""

import importlib
import keyword
import sys
from typing import NoReturn

import click

from lamina import __version__
from lamina.cli.plain_text import plain
from lamina.errors import LaminaError

COMMANDS: dict[str, str] = {
    "pull": "Pull images out of a registry.",
    "push": "Push images into a registry.",
    "search": "Search registries for images.",
    "login": "Log in to a registry.",
    "logout": "Log out from a registry.",
    "build": "Build an image from a Dockerfile.",
    "builder": "Manage what builds keep beside images.",
    "commit": "Make an image of what a container has changed.",
    "images": "List images.",
    "inspect": "Show everything known about images.",
    "history": "Show the steps that made an image.",
    "tag": "Give an image another name.",
    "rmi": "Remove names and images.",
    "prune": "Remove images that nothing uses.",
    "load": "Load the images of a tar archive.",
    "save": "Write images to a tar archive.",
    "import": "Make an image out of a root filesystem's tarball.",
    "ls": "List the files of an image.",
    "cat": "Write files of an image to stdout.",
    "diff": "Show what changed from one image to another.",
    "tree": "Show what each layer contributes to an image.",
    "df": "Show disk use.",
    "events": "Show events as they happen.",
    "info": "Show what the engine is and can do.",
    "version": "Show the versions of this program and of the engine.",
    "serve": "Serve the Docker Engine API.",
    "completion": "Print the completion script of a shell.",
}
"""Commands and their summaries. ``some-command`` is `command` in ``lamina/cli/some_command.py``;
a word that Python keeps for itself, as ``import``, has ``_`` behind it there."""


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
        name = cmd_name.replace("-", "_")
        module = importlib.import_module(f"lamina.cli.{name}{'_' * keyword.iskeyword(name)}")
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
    except (LaminaError, OSError) as error:
        click.echo(f"Error: {plain(str(error))}", err=True)
    sys.exit(1)
