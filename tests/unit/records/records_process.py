"""A process that uses a root, run by test_processes: ``ROOT (hold|tag) NAME``."""

import asyncio
import sys
from functools import partial
from pathlib import Path

from lamina.content.local import LocalStore
from lamina.oci.digest import Digest
from lamina.records.catalogue import Tag
from lamina.records.changes import PutImage, PutLayer, PutTag
from lamina.records.records import Transaction
from tests.unit.records.records_in import digest, make_image, make_layer, records_in


async def hold(root: Path, name: str) -> None:
    """Publish the blob `name` under a lease, say so, and wait to be killed."""
    async with records_in(root) as records, records.lease() as lease:
        data = name.encode()
        await lease.protect(Digest.of(data))
        async with LocalStore(root / "content").ingest() as writer:
            await writer.write(data)
            await writer.commit()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


async def tag(root: Path, name: str) -> None:
    """Open, write ten images with a name each, and end."""
    async with records_in(root) as records:
        for number in range(10):
            await records.change(partial(put_image, name=name, number=number))
            assert digest(f"{name}{number}") in records.catalogue.images


def put_image(transaction: Transaction, name: str, number: int) -> None:
    layer = make_layer(f"{name}{number}")
    image = make_image(f"{name}{number}", layer)
    transaction.do(PutLayer(layer))
    transaction.do(PutImage(image))
    transaction.do(PutTag(f"docker.io/library/{name}", str(number), Tag(image.id, None)))


VERBS = {"hold": hold, "tag": tag}

if __name__ == "__main__":
    asyncio.run(VERBS[sys.argv[2]](Path(sys.argv[1]), sys.argv[3]))
