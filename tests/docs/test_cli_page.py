"""docs/cli.md has every command and option."""

import re

from lamina.cli import COMMANDS
from tests.docs.cli_reference import PAGE, with_reference


def test_the_reference_is_that_of_the_commands() -> None:
    page = PAGE.read_text()
    assert with_reference(page) == page, "python -m tests.docs.cli_reference writes it"


def test_every_command_is_in_the_overview() -> None:
    table = PAGE.read_text().partition("## Commands\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"`lamina (\w+)", table)) - {"COMMAND"} == COMMANDS.keys()
