"""Remove old tags: of each repository the newest stay, and what is younger than some days.

    python prune_by_policy.py --keep 3 --older-than 30 --dry-run
    python prune_by_policy.py --keep 3 --older-than 30 --host unix:///var/run/docker.sock

Works on a directory of images, or with ``--host`` on any Docker Engine. Written without asyncio.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from lamina import Client, Engine, Reference, blocking
from lamina.errors import Conflict
from lamina.models import ImageSummary


def outdated(images: Iterable[ImageSummary], *, keep: int, before: float) -> list[str]:
    """The tags beyond the newest `keep` of their repository, made `before` then (unix seconds)."""
    tags: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for image in images:
        for tag in image.repo_tags:
            tags[Reference.parse(tag).familiar_name].append((image.created, tag))
    return [
        tag
        for repository in tags.values()
        for created, tag in sorted(repository, reverse=True)[keep:]
        if created < before
    ]


def prune(api: blocking.Api, *, keep: int, days: float, dry_run: bool) -> None:
    """Remove what is outdated, and say so."""
    before = time.time() - days * 24 * 3600
    for tag in outdated(api.image_list(), keep=keep, before=before):
        if dry_run:
            print(f"would remove {tag}")
            continue
        try:
            api.image_delete(tag)
            print(f"removed {tag}")
        except Conflict as error:
            print(f"kept {tag}: {error}")
    if not dry_run:
        print(f"{api.image_prune().space_reclaimed:,} bytes more of images without names")


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description="Remove old tags.")
    parser.add_argument("--keep", type=int, default=3, help="tags of each repository  [3]")
    parser.add_argument("--older-than", type=float, default=30, metavar="DAYS", help="[30]")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--host", help="a Docker Engine, such as unix:///var/run/docker.sock")
    where.add_argument("--root", type=Path, help="where images are kept")
    options = parser.parse_args()
    opened: AbstractAsyncContextManager[Client | Engine] = (
        Client.connect(options.host) if options.host else Engine.open(options.root)
    )
    with blocking.use(opened) as api:
        prune(api, keep=options.keep, days=options.older_than, dry_run=options.dry_run)


if __name__ == "__main__":
    main()
