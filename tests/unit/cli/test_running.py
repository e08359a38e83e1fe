"""How a command ends."""

import click
import pytest

from lamina.cli.running import fail, run
from lamina.errors import CommandFailed, LaminaError, NotFound

# As a registry may say it.
HOSTILE = "denied: \x1b]0;title\x07\x1b[2J\x9b31m\r\n\tretry"
SHOWN = "denied: \\x1b]0;title\\x07\\x1b[2J\\x9b31m\\x0d\n\tretry"


async def failing(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("kind", [LaminaError, NotFound, OSError])
def test_an_error_does_not_steer_the_terminal(kind: type[Exception]) -> None:
    with pytest.raises(click.ClickException) as caught:
        run(failing(kind(HOSTILE)))
    assert caught.value.message == SHOWN


def test_nor_that_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(failing(CommandFailed(HOSTILE, code=7)))
    assert caught.value.code == 7
    assert capsys.readouterr().err == f"Error: {SHOWN}\n"


def test_nor_one_of_several(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fail([HOSTILE])
    assert capsys.readouterr().err == f"Error: {SHOWN}\n"
