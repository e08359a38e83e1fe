"""What containers leave that were killed with their engine: nothing but what is recorded."""

import fcntl
from pathlib import Path

from lamina.engine import Engine
from lamina.snapshots.mounting import mounts_below


def monitors_of(pid: int) -> list[int]:
    """The monitors among the children of a process; there may be an OCI runtime at work too."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split() if b"lamina.runtime.monitor" in words_of(child)]


def wait_until_gone(root: Path) -> None:
    """Wait until killed processes use a root no more.

    What one was just starting shares its lock for a moment, until it is a program of its own.
    """
    for mark in (root / "processes").iterdir():
        with mark.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)


def words_of(pid: str) -> list[bytes]:
    """The command line of a process; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:
        return []


def processes_with(word: str, *, but: str = "") -> list[str]:
    """The command lines of processes that have `word` among their arguments, and not `but`."""
    return [
        b" ".join(words).decode()
        for path in Path("/proc").glob("[0-9]*")
        if word.encode() in (words := words_of(path.name)) and but.encode() not in words
    ]


def names(directory: Path) -> set[str]:
    """What there is in a directory, if it is there."""
    return {path.name for path in directory.iterdir()} if directory.is_dir() else set()


def traces(root: Path) -> set[str]:
    """The IDs of all containers of which there is a file."""
    return names(root / "containers").union(*(names(p) for p in root.glob("run/*/bundles")))


def cgroups_of(ids: set[str]) -> list[Path]:
    return [path for path in Path("/sys/fs/cgroup").glob("**/lamina/*") if path.name in ids]


async def assert_nothing_is_left(engine: Engine, root: Path, seen: set[str]) -> None:
    """Containers that are recorded have their files; nothing else is there of those `seen`."""
    listed = await engine.container_list(all=True)
    assert [row.state for row in listed if row.state not in {"created", "exited"}] == []
    ids = {row.id for row in listed}
    assert mounts_below(root) == []
    assert cgroups_of(seen | ids) == []
    assert names(root / "containers") <= ids
    volumes = [await engine.container_inspect(id) for id in ids]
    mounted = {str(mount.name) for each in volumes for mount in each.mounts}
    assert names(root / "volumes") == mounted
    assert len(names(root / "snapshots/overlay/snapshots")) == len(ids)
    assert names(root / "snapshots/overlay/staging") == set()
    assert len(names(root / "run")) <= 1


async def assert_all_can_be_pruned(engine: Engine, root: Path, seen: set[str]) -> None:
    """With the last container the last of its files goes."""
    await engine.container_prune()
    await assert_nothing_is_left(engine, root, seen)
    assert await engine.container_list(all=True) == []
