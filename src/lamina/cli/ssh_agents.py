"""``--ssh``: the agents that a build's commands may ask, the user's own or one with given keys."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lamina.errors import InvalidParameter, Unavailable

_UNTIL_KILLED: Final = 'echo "$SSH_AGENT_PID"; exec cat'
"""What the agent runs, and ends with: it says who it is, and reads until we are gone."""


@dataclass(frozen=True, slots=True)
class AgentSource:
    """A socket of an agent; or, without one, files of keys for an agent of our own."""

    socket: Path | None = None
    keys: tuple[Path, ...] = ()


def agent_sources(texts: Iterable[str], environ: Mapping[str, str]) -> dict[str, AgentSource]:
    """``ID[=SOCKET|KEY[,KEY]]``; without a path the user's agent is meant.

    Raises InvalidParameter.
    """
    found: dict[str, AgentSource] = {}
    for text in texts:
        id, _, listed = text.partition("=")
        if not (listed := listed or environ.get("SSH_AUTH_SOCK", "")):
            raise InvalidParameter("invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set")
        found[id or "default"] = _source([Path(path) for path in listed.split(",")])
    return found


def _source(paths: list[Path]) -> AgentSource:
    for path in paths:
        if not path.exists():
            raise InvalidParameter(f"failed to open {path}: no such file or directory")
    sockets = [path for path in paths if path.is_socket()]
    if not sockets:
        return AgentSource(keys=tuple(paths))
    if len(sockets) < len(paths):
        raise InvalidParameter("invalid combination of keys and sockets")
    if len(sockets) > 1:
        raise InvalidParameter("only single socket allowed")
    return AgentSource(sockets[0])


@asynccontextmanager
async def running_agents(sources: Mapping[str, AgentSource]) -> AsyncIterator[dict[str, Path]]:
    """The sockets of agents by ID; those for keys are started, and end with the context.

    Raises Unavailable (OpenSSH is not installed), InvalidParameter (no keys).
    """
    async with contextlib.AsyncExitStack() as stack:
        sockets = {}
        for id, source in sources.items():
            socket = source.socket
            if socket is None:
                socket = await stack.enter_async_context(_agent_with(source.keys))
            sockets[id] = socket
        yield sockets


@asynccontextmanager
async def _agent_with(keys: Iterable[Path]) -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lamina-agent-") as directory:
        socket = Path(directory, "agent")
        async with _agent_at(socket):
            for key in keys:
                await _add(key, socket)
            yield socket


@asynccontextmanager
async def _agent_at(socket: Path) -> AsyncIterator[None]:
    program = _program("ssh-agent")
    command = await asyncio.create_subprocess_exec(
        *(program, "-a", str(socket), "sh", "-c", _UNTIL_KILLED),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert command.stdin is not None
    assert command.stdout is not None
    assert command.stderr is not None
    try:
        if not (said := await command.stdout.readline()):
            why = (await command.stderr.read()).decode(errors="replace").strip()
            raise Unavailable(f"{program} cannot be started: {why}")
        try:
            yield
        finally:
            # It would notice by itself that its command has ended, but not at once.
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(said), signal.SIGTERM)
    finally:
        command.stdin.close()
        await command.wait()


async def _add(key: Path, socket: Path) -> None:
    """Give an agent a key; OpenSSH asks for its passphrase where there is a terminal."""
    added = await asyncio.create_subprocess_exec(
        *(_program("ssh-add"), "-q", str(key)),
        env={**os.environ, "SSH_AUTH_SOCK": str(socket)},
        stdin=None if sys.stdin.isatty() else asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await added.communicate()
    if added.returncode:
        raise InvalidParameter(f"ssh-add {key}: {said.decode(errors='replace').strip()}")


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Unavailable(f"--ssh with keys needs {name}, which is not installed (openssh-client)")
    return found
