"""What docs/cli.md shows is what happens, and it has every command."""

import re

import pytest

from lamina.cli import COMMANDS
from tests.docs.cli_reference import PAGE, with_reference
from tests.docs.pages import Session, blocks


# Dozens of processes, one after the other, on a machine that may be busy.
@pytest.mark.timeout(900)
def test_the_session(session: Session) -> None:
    (dockerfile,) = blocks("docs/cli.md", "dockerfile")
    session.write("Dockerfile", dockerfile)
    assert session.run("docs/cli.md") == ""


def test_the_reference_is_that_of_the_commands() -> None:
    page = PAGE.read_text()
    assert with_reference(page) == page, "python -m tests.docs.cli_reference writes it"


def test_every_command_is_in_the_overview() -> None:
    table = PAGE.read_text().partition("## Commands\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"`lamina (\w+)", table)) - {"COMMAND"} == COMMANDS.keys()
