"""Bars are drawn on a terminal, and on nothing else."""

import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.conftest import LaminaCli


@contextmanager
def terminal() -> Iterator[tuple[int, list[bytes]]]:
    """A terminal's file descriptor, and what has been written to it when it is closed."""
    ours, theirs = pty.openpty()
    written: list[bytes] = []

    def read() -> None:
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:
                # How Linux tells that the other end is closed.
                return
            written.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield theirs, written
    finally:
        os.close(theirs)
        reader.join()
        os.close(ours)


def run(cli: LaminaCli, *args: str) -> tuple[int, str, str]:
    """Status, stdout, and what came to the terminal that stderr was."""
    with terminal() as (descriptor, written):
        done = subprocess.run(
            [sys.executable, "-m", "lamina", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=descriptor,
            env={**cli.environment(), "TERM": "xterm", "COLUMNS": "120"},
            check=False,
        )
    return done.returncode, done.stdout.decode(), b"".join(written).decode()


def test_bars_on_a_terminal(lamina: LaminaCli, sample: Path, tmp_path: Path) -> None:
    cli = LaminaCli(lamina.home, {"LAMINA_ROOT": str(tmp_path / "root")})
    status, printed, drawn = run(cli, "load", "--input", str(sample))
    assert status == 0
    assert "Loaded image: cli/one:1\n" in printed
    assert "Loading layer" not in printed
    assert "Loading layer" in drawn
    assert "━" in drawn
    status, printed, drawn = run(cli, "save", "--output", str(tmp_path / "o.tar"), "cli/strange")
    assert (status, printed) == (0, "")
    assert "Saving" in drawn
    assert "kB" in drawn


def test_no_bars_when_asked(lamina: LaminaCli, sample: Path, tmp_path: Path) -> None:
    cli = LaminaCli(lamina.home, {"LAMINA_ROOT": str(tmp_path / "root")})
    status, printed, drawn = run(cli, "load", "--quiet", "--input", str(sample))
    assert (status, drawn) == (0, "")
    assert "Loaded image: cli/one:1\n" in printed


def test_an_error_on_a_terminal_is_as_plain(lamina: LaminaCli, tmp_path: Path) -> None:
    cli = LaminaCli(lamina.home, {"LAMINA_ROOT": str(tmp_path / "root")})
    status, printed, drawn = run(cli, "history", "cli/none")
    assert (status, printed) == (1, "")
    assert drawn == "Error: No such image: cli/none:latest\r\n"


def test_a_terminal_gets_no_archive(lamina: LaminaCli, tmp_path: Path) -> None:
    with terminal() as (descriptor, written):
        done = subprocess.run(
            [sys.executable, "-m", "lamina", "save", "--root", str(tmp_path / "root"), "x"],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=subprocess.PIPE,
            env=lamina.environment(),
            check=False,
        )
    assert (done.returncode, written) == (1, [])
    assert done.stderr.startswith(b"Error: cowardly refusing to save to a terminal")
