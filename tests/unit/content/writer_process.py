"""A process that writes blobs, to be killed or raced by `test_processes`.

``endless ROOT SEED``: keyed, named and unnamed ingests at once, a line on standard output for each
step. ``once ROOT SEED [KEY]``: one blob, committed after a line on standard input; prints its
digest, or the name of the error.
"""

import asyncio
import sys
from itertools import count
from pathlib import Path

from lamina.content.local import LocalStore
from lamina.errors import LaminaError
from lamina.oci.digest import Digest
from tests.unit.content.conformance import MIB, content

KEYED_SIZE = 5 * MIB + 123


def keyed_content(key: str) -> bytes:
    """What the ingest under `key` (``seed-number``) is to become."""
    seed, number = key.split("-")
    return content(KEYED_SIZE, seed=1000 * int(seed) + int(number))


def report(step: str) -> None:
    sys.stdout.write(step + "\n")
    sys.stdout.flush()


async def write_keyed(store: LocalStore, seed: int) -> None:
    for number in count():
        key = f"{seed}-{number}"
        data = keyed_content(key)
        async with store.ingest(key, expected=Digest.of(data), size=len(data)) as writer:
            while writer.offset < len(data):
                await writer.write(data[writer.offset : writer.offset + 300_000])
                report("keyed write")
            report("keyed finish")
            await writer.finish()
            report("keyed commit")
            await writer.commit()


async def write_anonymous(store: LocalStore, seed: int) -> None:
    for number in count():
        async with store.ingest() as writer:
            await writer.write(content(1_500_000, seed=seed + number))
            report("anonymous write")
            await writer.commit()
            report("anonymous commit")


async def endless(root: Path, seed: int) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(write_keyed(LocalStore(root), seed))
        group.create_task(write_anonymous(LocalStore(root), 1_000_000 + seed))
        group.create_task(write_anonymous(LocalStore(root, unnamed=False), 2_000_000 + seed))


async def once(root: Path, seed: int, key: str | None) -> None:
    try:
        async with LocalStore(root).ingest(key) as writer:
            await writer.write(content(3 * MIB, seed=seed))
            report("ready")
            await asyncio.to_thread(sys.stdin.readline)
            report(str((await writer.commit()).digest))
    except LaminaError as error:
        report(type(error).__name__)


if __name__ == "__main__":
    how, directory, seed, *key = sys.argv[1:]
    if how == "endless":
        asyncio.run(endless(Path(directory), int(seed)))
    else:
        asyncio.run(once(Path(directory), int(seed), key[0] if key else None))
