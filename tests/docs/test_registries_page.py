"""What docs/registries.md shows can be written so, and does what it says."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from lamina.daemon.config import read_config
from lamina.daemon.registries import registry_config
from lamina.registry.credentials import pack
from lamina.registry.hosts import endpoints
from lamina.registry.hosts_toml import parse
from tests.conformance.engines import engine_in, load
from tests.docs.pages import Session, blocks
from tests.real.images import small_image
from tests.real.registry import registry as running_registry

PAGE = "docs/registries.md"


@pytest.mark.parametrize("block", blocks(PAGE, "toml"), ids=lambda block: block.split()[0])
def test_the_daemon_takes_the_settings(block: str, tmp_path: Path) -> None:
    file = tmp_path / "lamina.toml"
    file.write_text(block)
    config = registry_config(read_config(file), {})
    for registry in ("docker.io", "registry.example", "other.example", "registry.example:5000"):
        *others, last = endpoints(config.hosts, registry)
        assert last.scheme == ("http" if registry in config.hosts.insecure else "https")
        assert all(endpoint.is_mirror for endpoint in others) or not config.hosts.mirrors


def test_the_hosts_file(tmp_path: Path) -> None:
    (block,) = blocks(PAGE, "hosts.toml")
    mirror, cache, itself = parse(block, registry="registry.example", directory=tmp_path)
    assert mirror.host == "mirror.example"
    assert sorted(mirror.capabilities) == ["pull", "resolve"]
    assert mirror.tls.authorities == (tmp_path / "mirror.crt",)
    assert (
        str(cache.url("/x"))
        == "http://cache.example:5000/v2/registry.example/x?ns=registry.example"
    )
    assert str(itself.url("/x")) == "https://registry.example/v2/x"


async def test_the_program(session: Session, tmp_path: Path) -> None:
    """With a registry that wants a password in the place of registry.example."""
    (program,) = blocks(PAGE, "python")
    with running_registry(user="me", password="secret") as server:
        name = f"{server.address}/team/tool:1"
        program = program.replace("registry.example", server.address)
        async with engine_in(tmp_path / "own") as engine:
            await load(engine, small_image("docs"), name)
            auth = {"username": "me", "password": "secret"}
            digests = await engine.image_push(name, x_registry_auth=auth)
        kept = {"auths": {server.address: {"auth": pack("me", "secret")}}}
        directory = tmp_path / ".docker"
        directory.mkdir()
        (directory / "config.json").write_text(json.dumps(kept))
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", program.replace("cache.example", "localhost")],
            cwd=tmp_path,
            env={**session.environment, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.stderr, done.stdout.split()) == ("", [name, digests["1"]])
