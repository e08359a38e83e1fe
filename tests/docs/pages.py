"""The pages of the documentation: what they show, and how to do it."""

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.real.checkout import environment
from tests.real.programs import SEARCH_PATH

PROJECT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    str(path.relative_to(PROJECT)) for path in (*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md"))
)


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in `language`, empty for none."""
    text = (PROJECT / page).read_text()
    found = re.findall(r"^```(.*?)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for name, block in found if name == language]


def steps(page: str) -> Iterator[tuple[str, str]]:
    """Each command that a page shows in its console blocks, with what it prints.

    Lines of a command but the first begin with the shell's second prompt.
    """
    for block in blocks(page, "console"):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = step.splitlines(keepends=True)
            more = itertools.takewhile(lambda line: line.startswith("> "), lines[1:])
            command = [lines[0], *(line[2:] for line in more)]
            yield "".join(command).rstrip("\n"), "".join(lines[len(command) :])


def same_every_time(text: str) -> str:
    """The text without what depends on the moment and the machine."""
    for pattern, name in (
        (r"(Sending build context to Docker daemon +[\d.]+[kM]?B\s+)+", "CONTEXT\n"),
        (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.\d]*( \+0000 UTC|Z)", "TIME"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d ", "TIME "),
        (r"\bms=[\d.]+", "ms=SOME"),
        (r"/v1\.\d\d/", "/VERSION/"),
        (r"\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b|\b[0-9a-f]{16,}…", "ID"),
        (r"Less than a second ago|About an? \w+ ago|\d+ \w+ ago", "AGE"),
        (r"\b[\d.]+[kM]?B\b", "SIZE"),
        (r" +", " "),
    ):
        text = re.sub(pattern, name, text)
    return text


def agrees(actual: str, shown: str) -> bool:
    """Whether a command printed what a page shows; a line "…" there is any number of lines."""
    pieces = re.split(r"^…$", same_every_time(shown), flags=re.MULTILINE)
    pattern = r"(?:.*\n)*?.*".join(re.escape(piece) for piece in pieces)
    return re.fullmatch(pattern, same_every_time(actual)) is not None


_ANSWERING = """
import socket, sys, time
from urllib.parse import urlsplit

deadline = time.monotonic() + 120
for address in map(urlsplit, sys.argv[1:]):
    unix = address.scheme == "unix"
    while True:
        with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as client:
            try:
                client.connect(address.path if unix else (address.hostname, address.port))
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
        time.sleep(0.01)
"""
"""Waits until something listens on each of its arguments."""


def files(page: str) -> dict[str, str]:
    """The files that a page shows: blocks that follow upon a name and a colon."""
    text = (PROJECT / page).read_text()
    found = re.findall(r"`([\w.]+)`:\n\n```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return dict(found)


@dataclass(frozen=True)
class Session:
    """The shell of somebody new, in an empty home, with this checkout's `lamina`.

    `instead` says what is used here for what a page names: addresses that are free, above all.
    """

    home: Path
    instead: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in environment().items() if not k.startswith(("DOCKER_", "LAMINA_"))}
        return {
            **kept,
            "HOME": str(self.home),
            "PATH": f"{self._programs}{os.pathsep}{SEARCH_PATH}",
            "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
        }

    @property
    def _programs(self) -> Path:
        return self.home / ".local/bin"

    def install(self) -> None:
        """Put `lamina`, `python` and `answering` first in its PATH."""
        self._programs.mkdir(parents=True)
        answering = self._programs / "answering.py"
        answering.write_text(_ANSWERING)
        for name, arguments in (("lamina", "-m lamina"), ("python", ""), ("answering", answering)):
            program = self._programs / name
            program.write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n')
            program.chmod(0o755)

    def run(self, page: str) -> None:
        """Do what a page shows, in the files it shows, which must print what it shows.

        What is started in the background is waited for until it answers, and ended at the end.
        """
        for name, text in files(page).items():
            (self.home / name).write_text(self._here(text))
        shown = list(steps(page))
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._script(command for command, _ in shown)],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        printed = done.stdout.split("\x1e")[1:]
        for (command, expected), actual in zip(shown, printed, strict=False):
            assert agrees(actual, self._here(expected)), f"{command}\n{actual}{done.stderr}"
        assert (done.returncode, len(printed)) == (0, len(shown)), done.stderr

    def _script(self, commands: Iterable[str]) -> str:
        lines = ["trap 'jobs -p | xargs --no-run-if-empty kill; wait' EXIT"]
        for here in map(self._here, commands):
            lines += [r"printf '\036'", here]
            if here.endswith("&"):
                lines.append(" ".join(["answering", *re.findall(r"-H (\S+)", here)]))
        return "\n".join(lines)

    def _here(self, text: str) -> str:
        for name, stand_in in self.instead.items():
            text = text.replace(name, stand_in)
        return text
