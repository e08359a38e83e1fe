import asyncio
import os
import socket
import subprocess
from pathlib import Path

import pytest

from lamina.cli.ssh_agents import AgentSource, agent_sources, running_agents
from lamina.errors import InvalidParameter
from tests.real.programs import require, run
from tests.real.remains import processes_with


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to work in, as short as a socket's path has to be."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_key(path: Path, *, passphrase: str = "") -> Path:
    keygen = [require("ssh-keygen"), "-q", "-t", "ed25519", "-N", passphrase]
    run([*keygen, "-C", path.name, "-f", str(path)])
    return path


def listed(agent: Path) -> list[str]:
    """The comments of the keys that an agent has."""
    environ = {**os.environ, "SSH_AUTH_SOCK": str(agent)}
    done = subprocess.run(
        [require("ssh-add"), "-l"], env=environ, capture_output=True, text=True, check=False
    )
    return [line.split()[2] for line in done.stdout.splitlines() if done.returncode == 0]


@pytest.mark.usefixtures("here")
def test_sources() -> None:
    for name in ("key", "key2"):
        Path(name).touch()
    with socket.socket(socket.AF_UNIX) as agent, socket.socket(socket.AF_UNIX) as other:
        agent.bind("agent")
        other.bind("other")
        environ = {"SSH_AUTH_SOCK": "agent"}
        assert agent_sources(["default", "git=other", "k=key,key2", "=agent"], environ) == {
            "default": AgentSource(Path("agent")),
            "git": AgentSource(Path("other")),
            "k": AgentSource(keys=(Path("key"), Path("key2"))),
        }
        for text, message in {
            "a=agent,other": "only single socket allowed",
            "a=agent,key": "invalid combination of keys and sockets",
            "a=nowhere": "failed to open nowhere: no such file",
        }.items():
            with pytest.raises(InvalidParameter, match=message):
                agent_sources([text], environ)
    with pytest.raises(InvalidParameter, match="make sure SSH_AUTH_SOCK is set"):
        agent_sources(["default"], {})


async def test_an_agent_for_keys_lives_as_long_as_it_is_used(here: Path) -> None:
    keys = (make_key(here / "one"), make_key(here / "two"))
    async with running_agents({"a": AgentSource(keys=keys), "b": AgentSource(Path("s"))}) as agents:
        assert listed(agents["a"]) == ["one", "two"]
        assert agents["b"] == Path("s")
        directory = agents["a"].parent
        assert directory.stat().st_mode & 0o777 == 0o700
    assert not directory.exists()
    while processes_with(str(agents["a"])):  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def test_what_is_no_key(here: Path) -> None:
    (here / "text").write_text("no key\n")
    (here / "text").chmod(0o600)
    locked = make_key(here / "locked", passphrase="long enough")
    for path in (here / "text", locked):
        with pytest.raises(InvalidParameter, match=f"ssh-add {path}: "):
            async with running_agents({"a": AgentSource(keys=(path,))}):
                pass
