"""List what changed between two images, what made the greatest difference in bytes first.

    python what_changed.py app:1.1 app:1.2

Only the layers' indexes are read; nothing is unpacked. Images that are not there are pulled.
"""

import argparse
import asyncio
from pathlib import Path

from lamina import Engine
from lamina.engine.image_files import ImageTree
from lamina.errors import ImageNotFound, NotFound
from lamina.registry.docker_config import DockerConfig


async def what_changed(old: str, new: str, *, root: Path | None) -> list[tuple[int, str, str]]:
    """The changes: the difference in bytes, what happened, and the path."""
    credentials = DockerConfig(Path.home() / ".docker/config.json")
    async with Engine.open(root, credentials=credentials) as engine:
        for name in (old, new):
            try:
                await engine.image_inspect(name)
            except ImageNotFound:
                await engine.image_create(from_image=name)
        async with engine.image_files(old) as before, engine.image_files(new) as after:
            changes = [
                (size(after, it.path) - size(before, it.path), it.kind.name.lower(), it.path)
                for it in await after.changes(before)
            ]
    return sorted(changes, key=lambda change: (-abs(change[0]), change[2]))


def size(image: ImageTree, path: str) -> int:
    """Bytes of what is at a path of an image; 0 if there is nothing."""
    try:
        _, found = image.find(path, follow_last=False)
    except NotFound:
        return 0
    return found.entry.size


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description="List what changed between two images.")
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--root", type=Path, help="where images are kept")
    options = parser.parse_args()
    changes = asyncio.run(what_changed(options.old, options.new, root=options.root))
    for difference, kind, path in changes:
        print(f"{difference:+12,} {kind:8} {path}")
    print(f"{sum(difference for difference, _, _ in changes):+12,} in all")


if __name__ == "__main__":
    main()
