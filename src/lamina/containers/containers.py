"""`Containers`: the containers of a root, as one process deals with them.

A container's record says what it is and who runs it; what this process runs has a `Live` beside it.
Each change of state is one transaction, with its event, while the `Live`'s lock is held. Who runs a
container is the only one that can do anything to its processes.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamina.containers.happenings import container_event
from lamina.containers.live import Live
from lamina.containers.stored import settings_of
from lamina.containers.volumes import Volumes
from lamina.errors import Conflict, NotFound
from lamina.records.changes import Change, PutContainer
from lamina.records.configs import ImageConfigs
from lamina.records.containers import Container, find_container
from lamina.records.records import Records
from lamina.runtime.sandbox import Sandbox
from lamina.runtime.sweeping import discard
from lamina.runtime.workshop import Workshop
from lamina.snapshots.store import Mounted

__all__ = ["Containers", "Parts"]


@dataclass(frozen=True, slots=True)
class Parts:
    """What containers are made and run with."""

    records: Records
    configs: ImageConfigs
    workshop: Workshop
    now: Callable[[], int]
    """Unix nanoseconds."""
    logger: logging.Logger


class Containers:
    """All containers of a root; their files are below `directory`."""

    def __init__(self, directory: Path, volumes: Path, parts: Parts) -> None:
        self.parts = parts
        self.records = parts.records
        self.workshop = parts.workshop
        self.now = parts.now
        self.volumes = Volumes(volumes, parts.records.process)
        self._directory = directory
        self._live: dict[str, Live] = {}
        self.closing = asyncio.Event()
        """Set while all are being ended, so that none is to be started again."""
        self._tasks: set[asyncio.Task[None]] = set()

    # Finding.

    def find(self, name: str) -> Container:
        """The container that a name or an ID means. ContainerNotFound, InvalidParameter."""
        catalogue = self.records.catalogue
        return find_container(catalogue.containers, catalogue.container_names, name)

    def current(self, container: Container) -> Container:
        """The container as it is by now. ContainerNotFound."""
        return self.find(container.id)

    def live(self, container: Container) -> Live:
        """The live side of a container."""
        found = self._live.get(container.id)
        if found is None:
            found = self._live[container.id] = Live(container.id)
        return found

    async def settled(self) -> None:
        """Wait until no container is between two states."""
        for live in list(self._live.values()):
            async with live.lock:
                pass

    def forget(self, container: Container) -> None:
        """It is gone, for this process too."""
        self._live.pop(container.id, None)

    def running(self) -> list[Container]:
        """Those that this process runs."""
        return [
            container
            for container in self.records.catalogue.containers.values()
            if container.process == self.records.process
        ]

    def others_processes(self) -> set[str]:
        """The other processes that run containers, or did so when they were killed."""
        found = {each.process for each in self.records.catalogue.containers.values()}
        return found - {"", self.records.process}

    def sandbox(self, container: Container) -> Sandbox:
        """What a container runs in. Conflict if it does not run, or another process runs it."""
        sandbox = self.live(container).sandbox
        if sandbox is not None:
            return sandbox
        self.check_ours(container)
        self.check_settled(container)
        raise Conflict(f"Container {container.id} is not running")

    def check_settled(self, container: Container) -> None:
        """Conflict if it waits to be started again."""
        if container.status == "restarting":
            raise Conflict(
                f"Container {container.id} is restarting, wait until the container is running"
            )

    def check_ours(self, container: Container) -> None:
        """Conflict if another process runs it."""
        if container.process not in {"", self.records.process}:
            raise Conflict(
                f"container {container.id} is run by another lamina process; only that one can do"
                " this"
            )

    def used_volumes(self) -> set[str]:
        """The names of the volumes that are mounted in some container."""
        return {
            str(mount.name)
            for container in self.records.catalogue.containers.values()
            for mount in settings_of(container).mounts
            if mount.type == "volume"
        }

    # Places.

    def place(self, container: Container) -> Path:
        """The directory of a container's own files."""
        return self._directory / container.id

    async def sweep_places(self) -> None:
        """Remove the directories of containers that are no more; each is made after its record."""
        found = await asyncio.to_thread(lambda: [path.name for path in self._directory.glob("*")])
        for name in set(found).difference(self.records.catalogue.containers):
            await asyncio.to_thread(discard, self._directory, name)

    def log_path(self, container: Container) -> Path:
        """Its log, whether it is there or not; as dockerd names it."""
        return self.place(container) / f"{container.id}-json.log"

    @asynccontextmanager
    async def rootfs(self, container: Container) -> AsyncIterator[Mounted]:
        """Its root filesystem, for as long as the context lasts."""
        live = self.live(container)
        live.rootfs_users += 1
        try:
            async with live.lock:
                mounted = await self.mount(container)
            yield mounted
        finally:
            live.rootfs_users -= 1
            await self.records.finish(self.unmount_unused(container, live))

    async def unmount_unused(self, container: Container, live: Live) -> None:
        """Unmount its root filesystem, unless it runs or somebody looks into its files."""
        async with live.lock:
            known = self.records.catalogue.containers.get(container.id)
            if not live.rootfs_users and (known is None or not known.has_process):
                snapshots = await self.workshop.snapshots()
                await snapshots.unmount(container.snapshot)

    async def mount(self, container: Container) -> Mounted:
        """Mount its root filesystem; whoever asks for it says when it is not used any more."""
        layers = self.workshop.layers(container.diff_ids, self.records.catalogue)
        return await self.workshop.mount(container.snapshot, layers)

    async def written(self, container: Container) -> int:
        """The bytes that it has written into its root filesystem."""
        snapshots = await self.workshop.snapshots()
        try:
            return await snapshots.usage(container.snapshot)
        except NotFound:
            return 0

    def below(self, container: Container) -> int:
        """The bytes of its image's files."""
        layers = self.records.catalogue.layers
        return sum(layers[diff_id].size for diff_id in container.diff_ids if diff_id in layers)

    # Changing.

    async def put(
        self,
        container: Container,
        action: str | None = None,
        *,
        durable: bool = True,
        **attributes: str,
    ) -> Container:
        """Record what a container is now, with an event if `action` is given.

        What a power cut ends anyway need not be `durable`.
        """
        now = self.now()

        def changes() -> Iterable[Change]:
            yield PutContainer(container)
            if action is not None:
                yield container_event(container, action, now, **attributes)

        await self.records.change(
            lambda transaction: transaction.do_all(changes()), durable=durable
        )
        return container

    async def tell(self, container: Container, action: str, **attributes: str) -> None:
        """Record an event alone."""
        event = container_event(container, action, self.now(), **attributes)
        await self.records.change(lambda transaction: transaction.do(event), durable=False)

    async def put_all(
        self, container: Container, happened: Iterable[tuple[str, Mapping[str, str]]]
    ) -> None:
        """Record what a container is now, with several events."""
        now = self.now()
        events = [
            container_event(container, action, now, **attributes) for action, attributes in happened
        ]
        await self.records.change(
            lambda transaction: transaction.do_all([PutContainer(container), *events])
        )

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what nobody waits for, but who closes all containers."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.parts.logger.error("containers: %s", error, exc_info=error)

    async def all_done(self, *, at_most: float) -> None:
        """Wait for what was spawned, and end what takes more seconds than that."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=at_most)
        for task in self._tasks:
            task.cancel()
