"""`image_commit`: what a container has changed becomes an image."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from lamina import __version__
from lamina.containers.containers import Containers
from lamina.containers.happenings import container_event
from lamina.containers.running import pause_container, unpause_container
from lamina.containers.settings import merge_config
from lamina.containers.stored import settings_of
from lamina.dockerfile.changes import apply_changes
from lamina.engine.tagging import parse_new_tag
from lamina.errors import Conflict, ContainerNotFound, ImageNotFound
from lamina.oci.config import ContainerConfig, ImageConfig
from lamina.oci.digest import Digest
from lamina.oci.reference import Reference
from lamina.records.catalogue import Catalogue, Layer
from lamina.records.changes import PutImage, PutLayer
from lamina.records.configs import readable
from lamina.records.containers import Container
from lamina.records.happenings import put_tag
from lamina.records.records import Lease, Transaction
from lamina.transfer.images import image_record
from lamina.transfer.made_layer import store_made_layer
from lamina.transfer.resources import Resources

__all__ = ["Commit", "commit_container"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What to make of a container."""

    name: Reference | None
    comment: str
    author: str
    pause: bool
    changes: tuple[str, ...]
    config: ContainerConfig | None
    """What stands in the place of the container's configuration."""

    @classmethod
    def check(
        cls,
        *,
        repo: str,
        tag: str,
        comment: str,
        author: str,
        pause: bool,
        changes: Sequence[str],
        config: ContainerConfig | None,
    ) -> "Commit":
        """What a caller asks for. InvalidReference, InvalidParameter."""
        return cls(
            name=parse_new_tag(repo, tag) if repo else None,
            comment=comment,
            author=author,
            pause=pause,
            changes=tuple(changes),
            config=config,
        )


async def commit_container(
    resources: Resources, containers: Containers, name: str, wanted: Commit
) -> Digest:
    """Make the image; its ID. ContainerNotFound, Conflict, InvalidParameter (changes)."""
    container = containers.find(name)
    if container.status == "dead":
        raise Conflict(f"You cannot commit container {container.id} which is Dead")
    if container.status == "removing":
        raise Conflict(f"You cannot commit container {container.id} which is being removed")
    own = settings_of(container).config
    # Many of them take their time.
    changed = await asyncio.to_thread(apply_changes, wanted.config or own, wanted.changes)
    config = merge_config(changed, own)
    base = await _base(resources, container)
    async with resources.incoming() as coming:
        await _keep(coming.lease, container)
        async with _held_up(containers, container, pause=wanted.pause):
            snapshots = await containers.workshop.snapshots()
            layer = await store_made_layer(coming, snapshots.changes_tar(container.snapshot))
        now = resources.now()
        image = base.derive(
            created=datetime.fromtimestamp(now // 1000 / 1_000_000, UTC),
            created_by=" ".join(own.cmd or ()),
            layer=None if layer is None else layer.diff_id,
            config=config,
            container_config=own,
            container=container.id,
            author=wanted.author,
            comment=wanted.comment,
            docker_version=__version__,
        )
        await coming.store_documents({image.digest: readable(image).raw})
        await resources.records.change(
            lambda transaction: _record(
                transaction, container, wanted, config=image, layer=layer, now=now
            )
        )
        blobs = () if layer is None else (blob.digest for blob in layer.blobs)
        coming.recorded((image.digest, *blobs))
    return image.digest


async def _base(resources: Resources, container: Container) -> ImageConfig:
    """The configuration of the image that the container was made of, if any. ImageNotFound."""
    if container.image_id is None:
        return ImageConfig.build(
            platform=resources.platform, created=datetime.fromtimestamp(0, UTC)
        )
    if container.image_id not in resources.records.catalogue.images:
        raise ImageNotFound(str(container.image_id))
    return await resources.configs.get(container.image_id)


async def _keep(lease: Lease, container: Container) -> None:
    """Keep the layers below, should the container be removed meanwhile. ContainerNotFound."""

    def find(catalogue: Catalogue) -> tuple[None, Iterable[Digest]]:
        if container.id not in catalogue.containers:
            raise ContainerNotFound(container.id)
        layers = [catalogue.layers[diff_id] for diff_id in container.diff_ids]
        return None, [blob.digest for layer in layers for blob in layer.blobs]

    await lease.claim(find)


@asynccontextmanager
async def _held_up(
    containers: Containers, container: Container, *, pause: bool
) -> AsyncIterator[None]:
    """Have a running container paused for as long as the context lasts."""
    if not pause or container.status != "running" or not containers.live(container).sandbox:
        yield
        return
    pausing = asyncio.create_task(_pause(containers, container))
    try:
        await asyncio.shield(pausing)
        yield
    finally:
        # Also if the caller was cancelled before it was paused.
        await containers.records.finish(_go_on(containers, container, pausing))


async def _pause(containers: Containers, container: Container) -> bool:
    """Pause it; False if it has ended meanwhile."""
    try:
        await pause_container(containers, container.id)
    except Conflict:
        return False
    return True


async def _go_on(
    containers: Containers, container: Container, pausing: "asyncio.Task[bool]"
) -> None:
    with suppress(Conflict, ContainerNotFound):
        if await pausing:
            await unpause_container(containers, container.id)


def _record(
    transaction: Transaction,
    container: Container,
    wanted: Commit,
    *,
    config: ImageConfig,
    layer: Layer | None,
    now: int,
) -> None:
    known = transaction.catalogue
    layers = [known.layers[diff_id] for diff_id in container.diff_ids]
    if layer is not None:
        transaction.do(PutLayer(layer))
        layers.append(known.layers.get(layer.diff_id, layer))
    parent = container.image_id if container.image_id in known.images else None
    image = image_record(config, layers, parent=parent, locally_built=True)
    transaction.do(PutImage(image))
    if wanted.name is not None:
        put_tag(transaction, image, wanted.name, target=None, now=now)
    transaction.do(
        container_event(
            container,
            "commit",
            now,
            comment=wanted.comment,
            imageID=str(image.id),
            imageRef=wanted.name.familiar if wanted.name is not None else "",
        )
    )
