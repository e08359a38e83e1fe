"""One blob into a repository: found there, mounted from another one, or sent."""

from collections.abc import Sequence

from lamina.content.store import BlobStore
from lamina.oci.digest import Digest
from lamina.progress import LayerProgress
from lamina.registry.repository import Repository
from lamina.transfer.shared import Meter, Tell, counted_down


async def push_layer(
    blobs: BlobStore,
    repository: Repository,
    digest: Digest,
    name: str,
    *,
    mount_from: Sequence[str],
    tell: Tell,
) -> None:
    """Bring a layer's blob there; `name` is used in progress.

    Raises BlobNotFound, and as `Repository.upload` does.
    """
    async with blobs.open(digest) as reader:
        if await repository.stat(digest) is not None:
            tell(LayerProgress(name, "Layer already exists"))
            return
        uploaded = await repository.upload(
            reader,
            mount_from=mount_from,
            progress=Meter(tell, name, "Pushing", reader.size),
            waiting=counted_down(tell, name),
        )
    if uploaded.mounted_from is not None:
        tell(LayerProgress(name, f"Mounted from {uploaded.mounted_from}"))
    else:
        tell(LayerProgress(name, "Pushed"))


async def push_document(blobs: BlobStore, repository: Repository, digest: Digest) -> None:
    """Bring a configuration there; raises as `push_layer` does."""
    async with blobs.open(digest) as reader:
        if await repository.stat(digest) is None:
            await repository.upload(reader)
