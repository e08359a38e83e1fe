"""What docs/cli.md and docs/client.md show is what happens."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lamina.client import Client
from lamina.progress import LayerProgress, StreamText
from tests.cli.conftest import LaminaCli
from tests.real.image_files import ImageFiles
from tests.real.lamina_daemon import LaminaDaemon

DOCS = Path(__file__).resolve().parents[2] / "docs"


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def shown(page: str) -> Iterator[tuple[str, str]]:
    """Each command that a page shows, with its output."""
    for block in blocks(page, "console"):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = step.partition("\n")
            yield command, output


def same_every_time(text: str) -> str:
    """The text without what depends on the moment and the machine."""
    for pattern, name in (
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC", "TIME"),
        (r"\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b", "ID"),
        (r"Less than a second ago|About an? \w+ ago|\d+ \w+ ago", "AGE"),
        (r"\b[\d.]+[kM]?B\b", "SIZE"),
        (r" +", " "),
    ):
        text = re.sub(pattern, name, text)
    return text


# Dozens of processes, one after the other, on a machine that may be busy.
def test_the_session(lamina: LaminaCli, image_files: ImageFiles, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "rootfs.tar").symlink_to(image_files.busybox_rootfs)
    program = tmp_path / "bin" / "lamina"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m lamina "$@"\n')
    program.chmod(0o755)
    environment = lamina.environment()
    steps = list(shown("cli.md"))
    script = "\n".join(f"printf '\\036'\n{command}" for command, _ in steps)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=work,
        env={**environment, "PATH": f"{program.parent}{os.pathsep}{environment['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    printed = done.stdout.split("\x1e")[1:]
    assert len(printed) == len(steps) > 15
    for (command, expected), actual in zip(steps, printed, strict=True):
        assert same_every_time(actual) == same_every_time(expected), command


@pytest.fixture
def defined() -> dict[str, Any]:
    """What the functions of docs/client.md are, and what they import."""
    names: dict[str, Any] = {
        "Client": Client,
        "LayerProgress": LayerProgress,
        "Path": Path,
        "StreamText": StreamText,
        "contextlib": contextlib,
    }
    for block in blocks("client.md", "python"):
        if block.startswith("async def"):
            exec(block, names)  # noqa: S102 - our own page
    return names


async def test_the_functions_of_the_client(
    defined: dict[str, Any], lamina_daemon: LaminaDaemon, image_files: ImageFiles
) -> None:
    async with Client.connect(lamina_daemon.host) as client:
        assert await defined["load"](client, image_files.small_archive) == ["small:1", "small:2"]
        await client.image_tag("small:1", repo="docs/client", tag="1")
        async with Client.connect(lamina_daemon.host) as target:
            assert await defined["copy"](client, target, ["docs/client:1"]) == ["docs/client:1"]
        assert await defined["first_tag"](client)
        for name in ("docs/client:1", "small:1", "small:2"):
            await client.image_delete(name)


def test_the_program_of_the_client(lamina: LaminaCli, lamina_daemon: LaminaDaemon) -> None:
    (program,) = (block for block in blocks("client.md", "python") if "asyncio.run" in block)
    done = subprocess.run(
        [sys.executable, "-c", program, lamina_daemon.host],
        env=lamina.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stderr, done.stdout.splitlines()[:1]) == ("", ["1.44"])
