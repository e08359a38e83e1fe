"""Removing what the runtimes of killed processes have left: processes, mounts, control groups."""

import asyncio
import errno
import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from lamina.layers.directories import remove
from lamina.runtime.monitor import thaw
from lamina.runtime.supervisor import Exit

__all__ = ["discard", "sweep_runtimes"]

_MONITOR_SECONDS: Final = 30
"""How long a monitor may take that is still killing what its engine has left."""
_KILL_SECONDS: Final = 10
"""How long what was killed may take to be gone."""
_INTERVAL: Final = 0.02
_CGROUPS: Final = Path("/sys/fs/cgroup")


async def sweep_runtimes(
    parent: Path,
    *,
    keep: Collection[str],
    command: Callable[[Sequence[str]], list[str]] = list,
) -> dict[str, Exit]:
    """Clean each directory of a `Runtime` below `parent` but those named in `keep`, and remove it.

    Their engines must have ended; their monitors may just be at it. Returns how their sandboxes
    ended, as far as that is known.
    """
    ended: dict[str, Exit] = {}
    for directory in await asyncio.to_thread(lambda: sorted(parent.glob("*/"))):
        if directory.name not in keep:
            ended.update(await asyncio.to_thread(_clean, directory, command))
    return ended


def _clean(directory: Path, command: Callable[[Sequence[str]], list[str]]) -> dict[str, Exit]:
    fd = _locked(directory / "lock")
    try:
        _end_commands(directory)
        ended = dict(_exits(directory))
        with suppress(FileNotFoundError):
            runtime = (directory / "runtime").read_text()
            state = directory / "state"
            for sandbox in sorted(state.iterdir()):
                delete = [runtime, f"--root={state}", "delete", "--force", sandbox.name]
                subprocess.run(  # noqa: S603 - what we have found and used before
                    command(delete), check=False, capture_output=True, env={"PATH": os.defpath}
                )
        for config in (*directory.glob("bundles/*/config.json"), *directory.glob("*/config.json")):
            _remove_cgroup(config)
        discard(directory.parent, directory.name)
        return ended
    finally:
        if fd is not None:
            os.close(fd)


def _exits(directory: Path) -> Iterator[tuple[str, Exit]]:
    """What the monitor has written down of the ends of sandboxes."""
    for path in directory.glob("bundles/*/exit.json"):
        with suppress(OSError, ValueError, KeyError):
            found = json.loads(path.read_bytes())
            yield path.parent.name, Exit(found["code"], found["time"], bool(found["oom"]))


def _locked(path: Path) -> int | None:
    """Lock a file, if it is there, though not for ever."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    deadline = time.monotonic() + _MONITOR_SECONDS
    while time.monotonic() < deadline:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            time.sleep(_INTERVAL)
    return fd


def _end_commands(directory: Path) -> None:
    """Kill an OCI runtime that is still at work below a directory: who started it has been killed.

    It would go on to make what is being removed.
    """
    option = f"--root={directory}/".encode()
    deadline = time.monotonic() + _KILL_SECONDS
    while time.monotonic() < deadline and (pids := list(_processes_with(option))):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_INTERVAL)


def _processes_with(beginning: bytes) -> Iterator[int]:
    """The processes with an argument that begins so; not those that have ended."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if any(word.startswith(beginning) for word in path.read_bytes().split(b"\0")):
                yield int(path.parent.name)


def _remove_cgroup(config: Path) -> None:
    """Remove the control groups of a sandbox whose runtime was killed before it wrote them down."""
    with suppress(OSError, ValueError, KeyError):
        path = str(json.loads(config.read_bytes())["linux"]["cgroupsPath"])
        for place in (_CGROUPS / path.strip("/"), *_CGROUPS.glob(f"*{path}")):
            _end_cgroup(place, path)


def _end_cgroup(place: Path, path: str) -> None:
    """Kill what is in a control group, until it can be removed with those below it."""
    deadline = time.monotonic() + _KILL_SECONDS
    while place.is_dir() and time.monotonic() < deadline:
        for directory in sorted(place.glob("**/"), reverse=True):
            with suppress(OSError):
                for pid in map(int, (directory / "cgroup.procs").read_text().split()):
                    if pid:  # else out of our sight
                        os.kill(pid, signal.SIGKILL)
                thaw(path)
                directory.rmdir()
        if place.is_dir():
            time.sleep(_INTERVAL)


def discard(directory: Path, name: str) -> None:
    """Remove what is in a directory under a name, with all below it, if it is there.

    A command that was started in it may still make things there, or its starter remove them.
    """
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    deadline = time.monotonic() + _KILL_SECONDS
    try:
        while not _is_removed(name, fd, last=time.monotonic() > deadline):
            time.sleep(_INTERVAL)
    finally:
        os.close(fd)


def _is_removed(name: str, within: int, *, last: bool) -> bool:
    """Remove something; False if others were at it, but an OSError the `last` time."""
    try:
        remove(name, within=within)
    except FileNotFoundError:
        return name not in os.listdir(within)
    except OSError as error:
        if last or error.errno != errno.ENOTEMPTY:
            raise
        return False
    return True
