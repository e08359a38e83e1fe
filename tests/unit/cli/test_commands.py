"""The command as a whole: its help, its completion, and that it starts quickly."""

import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from lamina.cli import COMMANDS, lamina


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    context = click.Context(lamina)
    command = lamina.get_command(context, name)
    assert command is not None
    assert command.name == name
    result = CliRunner().invoke(lamina, [name, "--help"])
    assert result.exit_code == 0
    assert "Usage: lamina" in result.output


def test_an_unknown_command() -> None:
    result = CliRunner().invoke(lamina, ["nonsense"])
    assert result.exit_code == 2
    assert "No such command 'nonsense'" in result.output


def test_help_imports_no_more_than_it_needs() -> None:
    code = (
        "import sys\n"
        "from lamina.cli import lamina\n"
        "lamina(['--help'], standalone_mode=False)\n"
        "heavy = {'aiohttp', 'asyncio', 'msgspec', 'rich', 'sqlalchemy', 'uvloop'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    result = CliRunner().invoke(lamina, ["completion", shell], prog_name="lamina")
    assert result.exit_code == 0
    assert "_LAMINA_COMPLETE" in result.output


@pytest.mark.parametrize(
    ("words", "word", "expected"),
    [
        ("lamina his", 1, "history"),
        ("lamina images --no-t", 2, "--no-trunc"),
        ("lamina build di", 2, "di"),
        ("lamina builder pr", 2, "prune"),
    ],
)
def test_completion(words: str, word: int, expected: str) -> None:
    environ = {
        **os.environ,
        "_LAMINA_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(word),
    }
    code = "from lamina.cli import lamina\nlamina(prog_name='lamina')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environ
    )
    assert expected in [line.partition(",")[2] for line in done.stdout.splitlines()]
