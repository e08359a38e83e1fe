"""A file system of its own for what is measured: new, ordinary, and the same for all."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.real.programs import MissingProgramError, as_root, require


@contextmanager
def fresh_disk(parent: Path, *, gigabytes: int) -> Iterator[tuple[Path, str]]:
    """A new ext4 in a file below `parent`, and what it is; `parent` itself where none can be had.

    The file takes little more than what is written to it.

    How long it takes to make 25,000 files depends on what was made and removed on a file system
    before: ext4 without a journal, for one, takes ten times as long for minutes after a removal.
    """
    with tempfile.TemporaryDirectory(prefix="lamina-", dir=parent) as directory:
        image, target = Path(directory) / "image", Path(directory) / "b"
        target.mkdir()
        try:
            device = _make(image, target, gigabytes << 30)
        except (MissingProgramError, subprocess.CalledProcessError):
            yield parent, "the machine's own file system"
            return
        try:
            yield target, "a new ext4 on a loop device"
        finally:
            _run("umount", "--lazy", str(target))
            _run("losetup", "--detach", device)


def _make(image: Path, target: Path, size: int) -> str:
    """Make and mount it; the loop device. Raises CalledProcessError, MissingProgramError."""
    with image.open("wb") as file:
        file.truncate(size)
    # Nothing is left to be initialised in the background, where it would cost what is measured.
    _run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
    # Past the page cache of the file: its pages are those of the new file system already.
    device = _run("losetup", "--find", "--show", "--direct-io=on", str(image)).strip()
    try:
        _run("mount", device, str(target))
    except subprocess.CalledProcessError:
        _run("losetup", "--detach", device)
        raise
    _run("chmod", "1777", str(target))
    return device


def _run(program: str, *arguments: str) -> str:
    done = subprocess.run(
        as_root([require(program), *arguments]), check=True, capture_output=True, text=True
    )
    return done.stdout
