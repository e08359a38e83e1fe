"""The reference of docs/cli.md, out of the commands themselves.

`python -m tests.docs.cli_reference` writes it into the page.
"""

import re
from collections.abc import Iterable, Iterator

import click

from lamina.cli import lamina
from lamina.cli.target import TARGET_NAMES
from tests.docs.pages import PROJECT

PAGE = PROJECT / "docs/cli.md"
BEGIN = "<!-- reference: written by `python -m tests.docs.cli_reference` -->\n"
END = "<!-- end of the reference -->\n"


def reference() -> str:
    """Every command with its arguments and options, as Markdown."""
    commands = list(commands_below(click.Context(lamina, info_name="lamina")))
    some = [context for context in commands if has_target(context)]
    others = [f"`{context.command_path}`" for context in commands if not has_target(context)]
    shared = [param for param in some[0].command.params if param.name in TARGET_NAMES]
    return "\n".join([
        "### Options of nearly all\n",
        f"All commands take these, but for {', '.join(others[:-1])} and {others[-1]}:\n",
        table(some[0], shared),
        *(section(context) for context in commands),
    ])  # fmt: skip


def commands_below(context: click.Context) -> Iterator[click.Context]:
    """The contexts of all commands that are no groups."""
    group = context.command
    if not isinstance(group, click.Group):
        yield context
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield from commands_below(click.Context(command, info_name=name, parent=context))


def has_target(context: click.Context) -> bool:
    """Whether a command can be told on which images to work."""
    return {param.name for param in context.command.params}.issuperset(TARGET_NAMES)


def section(context: click.Context) -> str:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    hidden = TARGET_NAMES if has_target(context) else ()
    about = [" ".join(part.split()) for part in (command.help or "").split("\n\n")]
    own = table(context, [param for param in command.params if param.name not in hidden])
    blocks = [f"### `{context.command_path}`", f"```\n{usage}\n```", *about, own.rstrip("\n")]
    return "\n\n".join(filter(None, blocks)) + "\n"


def table(context: click.Context, params: Iterable[click.Parameter]) -> str:
    """The options among `params`; nothing, if there are none."""
    options = (param for param in params if isinstance(param, click.Option))
    records = filter(None, (option.get_help_record(context) for option in options))
    rows = [
        f"| {names(names_and_value)} | {cell(meaning)} |\n" for names_and_value, meaning in records
    ]
    return "".join(["| option | |\n|---|---|\n", *rows]) if rows else ""


def names(text: str) -> str:
    """The names of an option and its value, each as code."""
    return ", ".join(f"`{cell(name)}`" for name in re.split(r", (?=-)", text))


def cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def with_reference(page: str) -> str:
    """The page with its reference as it should be."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}{reference()}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(with_reference(PAGE.read_text()))
