"""What docs/client.md shows is what happens."""

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lamina.client import Client
from lamina.progress import LayerProgress, StreamText
from tests.docs.pages import Session, blocks
from tests.real.image_files import ImageFiles
from tests.real.lamina_daemon import LaminaDaemon


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
    for block in blocks("docs/client.md", "python"):
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


def test_the_program_of_the_client(session: Session, lamina_daemon: LaminaDaemon) -> None:
    (program,) = (block for block in blocks("docs/client.md", "python") if "asyncio.run" in block)
    done = subprocess.run(
        [sys.executable, "-c", program, lamina_daemon.host],
        env=session.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stderr, done.stdout.splitlines()[:1]) == ("", ["1.44"])
