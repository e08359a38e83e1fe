"""Anonymous volumes: directories that live and die with the containers they were made for."""

import secrets
from collections.abc import Container
from pathlib import Path
from typing import Final

from lamina.runtime.sweeping import discard

__all__ = ["Volumes", "new_volume_name"]


def new_volume_name() -> str:
    """A name that no volume has: 64 hexadecimal digits."""
    return secrets.token_hex(32)


class Volumes:
    """The anonymous volumes below a directory: each one of its own, with ``_data`` in it.

    ``process`` beside that names the process that made it, whose record of it may still be to come.
    """

    def __init__(self, root: Path, process: str) -> None:
        self.root: Final = root
        self._process = process

    def data(self, name: str) -> Path:
        """Where a volume's files are."""
        return self.root / name / "_data"

    def make(self, name: str) -> None:
        """Make an empty volume, under a new name."""
        (self.root / name).mkdir(mode=0o701, parents=True)
        (self.root / name / "process").write_text(self._process)
        self.data(name).mkdir(mode=0o755)

    def remove(self, name: str) -> None:
        """Remove a volume, if it is there."""
        discard(self.root, name)

    def sweep(self, *, used: Container[str], living: Container[str]) -> None:
        """Remove those that nobody uses, but what a living process has just made."""
        if not self.root.is_dir():
            return
        for path in list(self.root.iterdir()):
            try:
                process = (path / "process").read_text()
            except OSError:
                process = ""
            if path.name not in used and process not in living:
                discard(self.root, path.name)
