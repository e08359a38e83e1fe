"""Git repositories as contexts and as sources of ADD: ``url#ref:directory``.

The git program does it, with no configuration, no prompts and only the protocols of networks. A
repository is a stranger's: no hook of it runs, and no link of it leads to other files than its own.
"""

import asyncio
import contextlib
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from lamina.build.scratch import scratch_directory
from lamina.content.threads import run_to_end
from lamina.errors import InvalidParameter, LaminaError, Unavailable
from lamina.layers.diff import DiffOptions, upper_tar
from lamina.layers.directories import OPEN_DIRECTORY, Directories, remove
from lamina.registry.proxies import Proxies

_HTTP: Final = re.compile(r"https?://.*\.git/?(?:[#?].*)?", re.DOTALL)
_OTHER: Final = re.compile(r"(?:git://|ssh://|git@[\w.-]+:)\S+")
_GITHUB: Final = "github.com/"
_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SETTINGS: Final = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "protocol.ext.allow=never"),
    # A server that sends next to nothing for two minutes is given up.
    *("-c", "http.lowSpeedLimit=1"),
    *("-c", "http.lowSpeedTime=120"),
)
_EVERY_BRANCH: Final = "+refs/heads/*:refs/remotes/origin/*"
_PLAIN_FILES: Final = "does not support shallow"
"""git of a web server that knows nothing of git, and has the files of a repository."""
_WITH_UMASK: Final = ("/bin/sh", "-c", 'umask 022 && exec "$0" "$@"')
"""Runs a program so that what it makes has usual modes; uvloop has no parameter for that."""

_LONGEST: Final = 3600
"""Seconds that one command of git may take."""

_MOST_SAID: Final = 1 << 14
"""Bytes that are kept of what git says, the last ones: servers have it say what they like."""

_QUIET: Final = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ALLOW_PROTOCOL": "http:https:git:ssh",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new"
    " -o ConnectTimeout=30 -o ServerAliveInterval=30",
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}


@dataclass(frozen=True, slots=True)
class GitSource:
    """A repository, what of it (empty: what its HEAD names), and a directory in it."""

    url: str
    ref: str = ""
    directory: str = ""

    @classmethod
    def parse(cls, text: str) -> "GitSource | None":
        """Read a URL, if it is one of a repository. Raises InvalidParameter."""
        if text.startswith(_GITHUB):
            text = f"https://{text}"
            if not text.partition("#")[0].endswith(".git"):
                before, hash_sign, after = text.partition("#")
                text = f"{before}.git{hash_sign}{after}"
        if not (_HTTP.fullmatch(text) or _OTHER.fullmatch(text)):
            return None
        before, _, fragment = text.partition("#")
        ref, _, directory = fragment.partition(":")
        url, _, query = before.partition("?")
        asked = {name: values[-1] for name, values in parse_qs(query).items()}
        for name in asked:
            if name not in {"ref", "branch", "tag", "subdir"}:
                raise InvalidParameter(f"unexpected query {name!r} in {text}")
        ref = ref or asked.get("ref") or asked.get("branch") or asked.get("tag") or ""
        directory = directory or asked.get("subdir", "")
        if ref.startswith("-") or any(char.isspace() for char in ref):
            raise InvalidParameter(f"invalid refspec: {ref}")
        if "\0" in url + ref + directory:
            raise InvalidParameter(f"invalid URL of a repository: {text!r}")
        return cls(url, ref, directory)


@dataclass(frozen=True, slots=True)
class Checkout:
    """A working tree: the files of `directory` and what commit they are of."""

    root: Path
    directory: str
    commit: str

    def tar(self) -> Iterator[bytes]:
        """A tar of the files, which belong to root; for a worker thread."""
        descriptor = _opened(self.root, self.directory)
        try:
            yield from upper_tar(descriptor, DiffOptions(owner=lambda _uid, _gid: (0, 0)))
        finally:
            os.close(descriptor)


@asynccontextmanager
async def checked_out(
    source: GitSource, parent: Path, proxies: Proxies, *, keep_git: bool = False
) -> AsyncIterator[Checkout]:
    """The files of a repository, in a temporary directory below `parent`.

    Raises LaminaError in git's words, Unavailable where there is no git.
    """
    async with scratch_directory(parent) as root:
        git = _Git(root, proxies)
        await git.run("init", "--quiet")
        await git.run("remote", "add", "origin", source.url)
        fetched = await git.fetch(source.ref or "HEAD")
        await git.run("checkout", "--quiet", "--detach", fetched)
        with contextlib.suppress(FileNotFoundError):
            if (root / ".gitmodules").lstat():
                await git.run(
                    "submodule", "update", "--init", "--recursive", "--depth=1", "--quiet"
                )
        commit = await git.run("rev-parse", "HEAD")
        if not keep_git:
            await run_to_end(lambda: _without_git(root))
        yield Checkout(root, source.directory.strip("/"), commit)


@dataclass(frozen=True, slots=True)
class _Git:
    """git in a directory, which reaches servers through `proxies`."""

    root: Path
    proxies: Proxies

    async def fetch(self, ref: str) -> str:
        """Fetch one commit, or more where the server gives no single ones; returns its name."""
        try:
            await self.run("fetch", "--quiet", "--depth=1", "origin", ref)
        except LaminaError as error:
            if _COMMIT.fullmatch(ref):
                await self.run("fetch", "--quiet", "--tags", "origin", _EVERY_BRANCH)
                return ref
            if _PLAIN_FILES not in str(error):
                raise
            await self.run("fetch", "--quiet", "origin", ref)
        return "FETCH_HEAD"

    async def run(self, *arguments: str) -> str:
        """What a command prints. Raises LaminaError in git's words, Unavailable without git."""
        program = await asyncio.to_thread(shutil.which, "git", path=_QUIET["PATH"])
        if program is None:
            raise Unavailable("git is needed for this, and is not installed")
        process = await asyncio.create_subprocess_exec(
            *(*_WITH_UMASK, program, "-C", str(self.root), *_SETTINGS, *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_QUIET | self.proxies.environment(),
            start_new_session=True,
        )
        return await _output(process)


async def _output(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(_LONGEST), asyncio.TaskGroup() as group:
            output = group.create_task(_end_of(process.stdout))
            errors = group.create_task(_end_of(process.stderr))
            await process.wait()
    except TimeoutError as error:
        raise LaminaError(f"error fetching: git has not ended in {_LONGEST} seconds") from error
    finally:
        if process.returncode is None:
            # With the programs that git has started.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode:
        raise LaminaError(f"error fetching: {errors.result()}: exit status {process.returncode}")
    return output.result()


async def _end_of(stream: asyncio.StreamReader) -> str:
    end = b""
    while piece := await stream.read(_MOST_SAID):
        end = (end + piece)[-_MOST_SAID:]
    return end.decode(errors="replace").strip()


def _without_git(root: Path) -> None:
    """Remove what belongs to git, of submodules too."""
    top = os.open(root, OPEN_DIRECTORY)
    directories = Directories(top)
    ahead = [""]
    try:
        while ahead:
            path = ahead.pop()
            here = directories.get(path).fd
            with os.scandir(here) as entries:
                found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
            for name, is_directory in found:
                if name == ".git":
                    remove(name, within=here)
                elif is_directory:
                    ahead.append(f"{path}/{name}" if path else name)
    finally:
        directories.abandon()
        os.close(top)


def _opened(root: Path, directory: str) -> int:
    """The descriptor of a directory below `root`; no link on the way is followed."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in directory.split("/"):
        if part in {"", "."}:
            continue
        try:
            if part == "..":
                raise FileNotFoundError
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            below = os.open(part, flags, dir_fd=descriptor)
        except OSError as error:
            raise LaminaError(
                f"error setting git context, {directory!r} not within git root"
            ) from error
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor
