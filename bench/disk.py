"""A file system of its own for what is measured: new, ordinary, and the same for all."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.real.programs import MissingProgramError, as_root, require

SIZE = 40 << 30
"""Bytes of the file it is in, which takes no more than what is written."""


@contextmanager
def fresh_disk(parent: Path) -> Iterator[tuple[Path, str]]:
    """A new ext4 in a file below `parent`, and what it is; `parent` itself where none can be had.

    How long it takes to make 25,000 files depends on what was made and removed on a file system
    before: ext4 without a journal, for one, takes ten times as long for minutes after a removal.
    """
    with tempfile.TemporaryDirectory(prefix="lamina-", dir=parent) as directory:
        image, target = Path(directory) / "image", Path(directory) / "b"
        target.mkdir()
        try:
            _make(image, target)
        except (MissingProgramError, subprocess.CalledProcessError):
            yield parent, "the machine's own file system"
            return
        try:
            yield target, "a new ext4 on a loop device"
        finally:
            subprocess.run(as_root(["umount", "--lazy", str(target)]), check=True)


def _make(image: Path, target: Path) -> None:
    with image.open("wb") as file:
        file.truncate(SIZE)
    # Nothing is left to be initialised in the background, where it would cost what is measured.
    options = ["-q", "-E", "lazy_itable_init=0,lazy_journal_init=0"]
    for command in (
        [require("mkfs.ext4"), *options, str(image)],
        [require("mount"), "-o", "loop", str(image), str(target)],
    ):
        subprocess.run(as_root(command), check=True, capture_output=True)
    subprocess.run(as_root(["chmod", "1777", str(target)]), check=True)
