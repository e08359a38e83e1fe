"""Directories whose entries survive a power cut: a name is durable once its directory is synced."""

import os
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Wait until the entries of the directory at `path` are on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path, *, within: Path) -> None:
    """Make `path` and what is missing above it, durable up to and including its entry in `within`.

    What is there already is synced too: whoever made it may not have come to that yet.
    """
    if path == within:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return
    make_directory(path.parent, within=within)
    path.mkdir(mode=0o700, exist_ok=True)
    sync_directory(path.parent)
