"""What lies in a data root, looked at without any of Lamina's code that wrote it."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RootFiles:
    """A root at one moment: digests as `sha256:…`."""

    blobs: frozenset[str]
    named: frozenset[str]
    """Blobs that a record names."""
    leases: int
    ingests: int
    images: frozenset[str]
    events: tuple[tuple[str, str], ...]
    """Action and actor, oldest first."""

    @property
    def garbage(self) -> frozenset[str]:
        return self.blobs - self.named

    @property
    def missing(self) -> frozenset[str]:
        return self.named - self.blobs

    def check_tidy(self) -> None:
        """Every record has its blobs, and there is nothing beside them."""
        assert self.missing == frozenset()
        assert self.garbage == frozenset()
        assert self.leases == 0
        assert self.ingests == 0


def look_at(root: Path) -> RootFiles:
    with closing(sqlite3.connect(root / "lamina.db")) as database:

        def column(query: str) -> list[str]:
            return [row[0] for row in database.execute(query)]

        named = {
            *column("SELECT id FROM images"),
            *column("SELECT digest FROM layer_blobs"),
            *column("SELECT digest FROM manifests"),
            *column("SELECT child FROM manifest_children"),
        }
        return RootFiles(
            blobs=frozenset(
                f"{path.parent.name}:{path.name}"
                for path in (root / "content" / "blobs").glob("*/*")
            ),
            named=frozenset(named),
            leases=len(column("SELECT id FROM leases"))
            + len(column("SELECT digest FROM leased_blobs")),
            ingests=len(list((root / "content" / "ingest").glob("*"))),
            images=frozenset(column("SELECT id FROM images")),
            events=tuple(database.execute("SELECT action, actor_id FROM events ORDER BY sequence")),
        )


def open_files() -> set[str]:
    """What this process has open, but for what asyncio opens once."""
    names = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            names.add(str(entry.readlink()))
        except FileNotFoundError:
            continue  # the directory itself
    return {name for name in names if name.startswith("/") and "/proc/" not in name}
