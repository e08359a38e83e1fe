"""Has this step been made before? The rules are those of the classic builder.

A step is found again by the container configuration that its image records: the same parent, the
same configuration, the same command, which for files holds the hash of their content. So whatever
a build made, here or in another process, is the cache, for as long as its images are there.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol
from weakref import WeakValueDictionary

from msgspec.structs import replace

from lamina.build.ledger import BuiltImage
from lamina.errors import BlobNotFound
from lamina.oci import jsontext
from lamina.oci.config import ContainerConfig, HistoryEntry, ImageConfig
from lamina.oci.history import layers_of_history
from lamina.oci.platform import Platform
from lamina.records.catalogue import Catalogue, Image
from lamina.records.configs import ImageConfigs
from lamina.records.records import Records


def comparable(config: ContainerConfig) -> bytes:
    """What two container configurations must have in common to be those of one step."""
    return jsontext.encode(
        replace(
            config,
            hostname="",
            domainname="",
            image="",
            mac_address="",
            args_escaped=False,
            env=config.env or (),
            cmd=config.cmd or (),
            volumes=config.volumes or {},
            entrypoint=config.entrypoint or (),
            on_build=config.on_build or (),
            labels=config.labels or {},
        )
    )


class StepCache(Protocol):
    """A way to find the image of a step."""

    async def find(self, parent: BuiltImage | None, step: ContainerConfig) -> BuiltImage | None:
        """The image that `step` made of `parent` (None: of nothing), if it is known."""
        ...


class NoCache:
    """Finds nothing, as asked for with ``nocache``."""

    async def find(self, parent: BuiltImage | None, step: ContainerConfig) -> BuiltImage | None:
        """Nothing."""
        del parent, step
        return None


class LocalCache:
    """The images that were built in this root.

    `created` limits it to images of that time, as a build wants it that is to be reproducible.
    """

    def __init__(
        self,
        records: Records,
        configs: ImageConfigs,
        *,
        platform: Platform,
        created: str | None = None,
    ) -> None:
        self._records = records
        self._configs = configs
        self._platform = platform
        self._created = created

    async def find(self, parent: BuiltImage | None, step: ContainerConfig) -> BuiltImage | None:
        """The newest image that was built of `parent` by `step`."""
        wanted = comparable(step)
        for image in _candidates(self._records.catalogue, parent):
            if not self._platform.matches(image.platform):
                continue
            try:
                config = await self._configs.get(image.id)
            except BlobNotFound:
                continue
            if self._created not in (None, config.created_text):
                continue
            if parent is None and len(config.history) != 1:
                # What it was built on was deleted.
                continue
            catalogue = self._records.catalogue
            if comparable(config.container_config) == wanted and image.id in catalogue.images:
                return BuiltImage.known(catalogue, image, config, parent)
        return None


def _candidates(catalogue: Catalogue, parent: BuiltImage | None) -> list[Image]:
    images: Iterable[Image]
    if parent is None:
        images = (image for image in catalogue.images.values() if image.parent is None)
    else:
        images = (catalogue.images[image_id] for image_id in catalogue.children(parent.id))
    built = [image for image in images if image.locally_built]
    return sorted(built, key=lambda image: image.age_key, reverse=True)


class SourceCache:
    """Images that a build was told to take steps from (``cachefrom``), wherever they were built.

    Steps of what was built here count only if they lead to one of these images; of others, the
    history tells the steps. After the first step that was taken from one, the others are given up.
    """

    def __init__(self, local: LocalCache, sources: Sequence[BuiltImage]) -> None:
        self._local = local
        self._sources = sources

    async def find(self, parent: BuiltImage | None, step: ContainerConfig) -> BuiltImage | None:
        """The image that `step` made of `parent` on the way to one of the sources."""
        found = await self._local.find(parent, step)
        if found is not None and any(_leads_to(found, source) for source in self._sources):
            return found
        position = 0 if parent is None else len(parent.config.history)
        command = " ".join(step.cmd or ())
        for source in self._sources:
            history = source.config.history
            if not _continues(source, parent) or history[position].created_by != command:
                continue
            if position == len(history) - 1:
                # The same image, of which it is known now what it was built on.
                return BuiltImage(source.config, source.layers, parent, is_local=source.is_local)
            self._sources = [source]
            return _restored(source, parent, position, step)
        return None


def _leads_to(image: BuiltImage, source: BuiltImage) -> bool:
    """Whether the source is the image, or was built on it."""
    position = len(image.config.history)
    return image.id == source.id or (
        source.config.history[:position] == image.config.history
        and source.config.diff_ids[: len(image.config.diff_ids)] == image.config.diff_ids
    )


def _continues(source: BuiltImage, parent: BuiltImage | None) -> bool:
    """Whether the source's history goes on where the parent's ends."""
    if not source.config.history:
        return False
    if parent is None:
        return True
    known, told = parent.config, source.config
    return (
        len(known.history) < len(told.history)
        and told.history[: len(known.history)] == known.history
        and told.diff_ids[: len(known.diff_ids)] == known.diff_ids
    )


def _restored(
    source: BuiltImage, parent: BuiltImage | None, position: int, step: ContainerConfig
) -> BuiltImage:
    """The image of one step of the source's history."""
    told = source.config
    entry: HistoryEntry
    entry, place = layers_of_history(told.history, told.diff_ids)[position]
    layers = () if parent is None else parent.layers
    if place is not None:
        layers = (*layers, source.layers[place])
    config = ImageConfig(
        architecture=told.architecture,
        author=told.author,
        config=replace(step, labels=step.labels or None),
        created_text=entry.created_text,
        docker_version=told.docker_version,
        history=told.history[: position + 1],
        os=told.os,
        os_features=told.os_features,
        os_version=told.os_version,
        rootfs=replace(told.rootfs, diff_ids=tuple(layer.diff_id for layer in layers)),
        variant=told.variant,
    )
    return BuiltImage(config, layers, parent, is_local=False)


StepKey = tuple[str, bytes, str]
"""Parent's ID, what is compared of the step, and what else must be alike."""


class SharedSteps:
    """Steps that run, of all builds of this process: none runs twice at a time."""

    def __init__(self) -> None:
        self._running: dict[StepKey, asyncio.Future[None]] = {}
        self._made: WeakValueDictionary[StepKey, BuiltImage] = WeakValueDictionary()

    async def run(
        self,
        key: StepKey,
        work: Callable[[], Awaitable[BuiltImage]],
        is_there: Callable[[BuiltImage], bool],
    ) -> tuple[BuiltImage, bool]:
        """The image of a step, and whether another has made it.

        Whoever comes while it is made waits. If it fails, or its build is cancelled, or `is_there`
        says that its image was deleted, the next one makes it.
        """
        while True:
            made = self._made.get(key)
            if made is not None and is_there(made):
                return made, True
            running = self._running.get(key)
            if running is None:
                break
            await asyncio.wait({running})
        running = self._running[key] = asyncio.get_running_loop().create_future()
        try:
            image = await work()
            self._made[key] = image
            return image, False
        finally:
            del self._running[key]
            running.set_result(None)
