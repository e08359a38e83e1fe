"""Removing what the runtimes of killed processes have left: processes, mounts, control groups."""

import asyncio
import fcntl
import json
import os
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from lamina.layers.directories import remove
from lamina.runtime.supervisor import Exit

__all__ = ["discard", "sweep_runtimes"]

_MONITOR_SECONDS: Final = 30
"""How long a monitor may take that is still killing what its engine has left."""
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
        ended = dict(_exits(directory))
        with suppress(FileNotFoundError):
            runtime = (directory / "runtime").read_text()
            state = directory / "state"
            for sandbox in sorted(state.iterdir()):
                delete = [runtime, f"--root={state}", "delete", "--force", sandbox.name]
                subprocess.run(  # noqa: S603 - what we have found and used before
                    command(delete), check=False, capture_output=True, env={"PATH": os.defpath}
                )
        for config in directory.glob("bundles/*/config.json"):
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
            time.sleep(0.02)
    return fd


def _remove_cgroup(config: Path) -> None:
    """Remove the control groups of a sandbox whose runtime was killed before it wrote them down."""
    with suppress(OSError, ValueError, KeyError):
        path = str(json.loads(config.read_bytes())["linux"]["cgroupsPath"]).strip("/")
        for place in (_CGROUPS / path, *_CGROUPS.glob(f"*/{path}")):
            with suppress(OSError):
                for pid in (place / "cgroup.procs").read_text().split():
                    os.kill(int(pid), 9)
                place.rmdir()


def discard(directory: Path, name: str) -> None:
    """Remove what is in a directory under a name, with all below it, if it is there."""
    with suppress(FileNotFoundError):
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove(name, within=fd)
        finally:
            os.close(fd)
