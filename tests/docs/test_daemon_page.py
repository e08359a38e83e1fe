"""docs/daemon.md leaves out nothing that can be set, and the units of systemd are sound."""

import re
import shlex
from configparser import ConfigParser

import click

from lamina.cli.serve import command
from lamina.daemon.config import KEYS
from tests.docs.pages import PROJECT

PAGE = "docs/daemon.md"
UNITS = PROJECT / "packaging/systemd"


def rows() -> list[tuple[set[str], set[str]]]:
    """Of each row of the table: its keys, and its options."""
    text = (PROJECT / PAGE).read_text().partition("## Configuration file\n")[2]
    _heading, _line, *lines = (line for line in text.splitlines() if line.startswith("|"))
    columns = [line.split("|") for line in lines]
    return [(named(row[1]), named(row[2])) for row in columns]


def named(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def test_every_key_has_a_row() -> None:
    assert set().union(*(keys for keys, _ in rows())) == KEYS.keys()


def test_every_option_is_named_beside_its_key() -> None:
    options = {
        name: option.name
        for option in command.params
        if isinstance(option, click.Option)
        for name in option.opts
        if name not in {"--config", "--version"}
    }
    documented = {name: keys for keys, names in rows() for name in names}
    assert documented.keys() == options.keys()
    for name, field in options.items():
        assert field in {KEYS[key][0] for key in documented[name]}
    assert "`--config FILE`" in (PROJECT / PAGE).read_text()


def test_the_units() -> None:
    """Their command is one that `lamina serve` takes, and their socket is where it would be."""
    service, sockets = ConfigParser(interpolation=None), ConfigParser(interpolation=None)
    for parser in (service, sockets):
        parser.optionxform = str  # type: ignore[assignment]
    service.read(UNITS / "lamina.service")
    sockets.read(UNITS / "lamina.socket")
    assert service["Unit"]["Requires"] == "lamina.socket"
    program, name, *arguments = shlex.split(service["Service"]["ExecStart"])
    assert program in (PROJECT / PAGE).read_text()
    assert name == command.name
    context = command.make_context("serve", arguments)
    assert context.params["hosts"] == ("fd://",)
    assert (sockets["Socket"]["ListenStream"], sockets["Socket"]["SocketMode"]) == (
        "/run/lamina.sock",
        "0660",
    )
