"""The part of `Engine` that is `lamina.container_api.ContainerApi`.

What changes a container's state goes on when its caller is cancelled, as in a dockerd whose client
goes away: a container is never left between two states.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, TypeVar

from lamina.container_api import Attachment, ContainerArchive, Output
from lamina.containers.archive import archive_of, export_container, put_archive
from lamina.containers.attaching import attach_container, container_output
from lamina.containers.attachment import AttachedStreams
from lamina.containers.changing import rename_container, resize_container, update_container
from lamina.containers.containers import Containers
from lamina.containers.creating import create_container
from lamina.containers.describing import inspect_container, with_sizes
from lamina.containers.execs import Execs, inspect_exec
from lamina.containers.locating import path_stat
from lamina.containers.logs import LogQuery
from lamina.containers.measuring import container_stats
from lamina.containers.processes import container_processes
from lamina.containers.recovery import close_containers, start_wanted
from lamina.containers.removal import remove_container
from lamina.containers.running import (
    kill_container,
    pause_container,
    restart_container,
    start_container,
    stop_container,
    unpause_container,
)
from lamina.containers.stored import settings_of
from lamina.containers.waiting import wait_for
from lamina.dockerfile.gostrings import parse_int
from lamina.dockerfile.source import DockerfileError
from lamina.engine.container_listing import list_containers
from lamina.engine.container_pruning import prune_containers
from lamina.engine.filters import parse_time
from lamina.engine.networks import (
    filter_networks,
    find_network,
    predefined_networks,
    with_containers,
)
from lamina.engine.pruning import Prunes
from lamina.engine.settling import Settling
from lamina.engine.volumes import find_volume, list_volumes
from lamina.errors import Conflict, InvalidParameter
from lamina.image_api import Filters
from lamina.models import (
    ContainerChange,
    ContainerCreateResponse,
    ContainerInspect,
    ContainerPruneResponse,
    ContainerStats,
    ContainerSummary,
    ContainerTopResponse,
    ContainerUpdateResponse,
    ContainerWaitResponse,
    ExecConfig,
    ExecInspect,
    HostConfig,
    IdResponse,
    NetworkingConfig,
    NetworkInspect,
    PathStat,
    Volume,
    VolumeListResponse,
)
from lamina.oci.containerconfig import ContainerConfig
from lamina.oci.platform import Platform
from lamina.oci.timestamp import format_unix
from lamina.streams import ByteSource, ByteStream

T = TypeVar("T")


class ContainerOperations:
    """Operations on containers; see `ContainerApi` for what each does."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._execs = Execs(containers)
        self._container_prunes = Prunes(containers.records)
        self._settling = Settling(containers)
        self._opened = format_unix(containers.now())

    def _finish(self, work: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        return self._containers.records.finish(work)

    # For who is the daemon.

    async def start_containers(self) -> None:
        """Start the containers whose restart policy says that they run when the daemon does."""
        await start_wanted(self._containers)

    async def stop_containers(self, seconds: int) -> None:
        """End all containers for good, with so many seconds for each to end by itself."""
        await close_containers(self._containers, seconds)

    # From nothing to a container and back.

    async def container_create(
        self,
        config: ContainerConfig,
        *,
        host_config: HostConfig | None = None,
        networking_config: NetworkingConfig | None = None,  # noqa: ARG002 - there are no networks
        name: str = "",
        platform: str = "",
    ) -> ContainerCreateResponse:
        """Make a container."""
        container, warnings = await create_container(
            self._containers,
            config,
            host_config or HostConfig(),
            name=name,
            platform=Platform.parse(platform) if platform else None,
        )
        return ContainerCreateResponse(id=container.id, warnings=warnings)

    async def container_delete(
        self,
        id: str,
        *,
        v: bool = False,  # noqa: ARG002 - there are no volumes that could outlive it
        force: bool = False,
        link: bool = False,
    ) -> None:
        """Remove a container."""
        await self._settling.settle()
        if link:
            raise InvalidParameter("lamina has no links between containers")
        await self._finish(remove_container(self._containers, id, force=force))

    async def container_prune(self, *, filters: Filters | None = None) -> ContainerPruneResponse:
        """Remove all containers that do not run."""
        await self._settling.settle()
        return await self._container_prunes.run(lambda: prune_containers(self._containers, filters))

    async def container_rename(self, id: str, *, name: str) -> None:
        """Give a container another name."""
        await self._finish(rename_container(self._containers, id, name))

    async def container_update(self, id: str, resources: HostConfig) -> ContainerUpdateResponse:
        """Change limits and the restart policy."""
        warnings = await self._finish(update_container(self._containers, id, resources))
        return ContainerUpdateResponse(warnings=warnings or None)

    # What there is.

    async def container_list(
        self,
        *,
        all: bool = False,
        limit: int = 0,
        size: bool = False,
        filters: Filters | None = None,
    ) -> list[ContainerSummary]:
        """The containers, newest first."""
        await self._settling.settle()
        containers = self._containers
        catalogue = containers.records.catalogue
        found = list_containers(
            catalogue,
            all_containers=all,
            limit=limit,
            filters=filters,
            now=containers.now(),
            health=lambda each: containers.live(each).health if each.is_running else None,
            engine_id=containers.records.engine_id,
        )
        return [await self._sized(summary) for summary in found] if size else found

    async def _sized(self, summary: ContainerSummary) -> ContainerSummary:
        containers = self._containers
        container = containers.records.catalogue.containers.get(summary.id)
        if container is None:
            return summary
        return with_sizes(summary, await containers.written(container), containers.below(container))

    async def container_inspect(self, id: str, *, size: bool = False) -> ContainerInspect:
        """Everything known about a container."""
        await self._settling.settle()
        containers = self._containers
        container = containers.find(id)
        found = inspect_container(
            container,
            engine_id=containers.records.engine_id,
            bundle=containers.workshop.bundle(container.process, container.id)
            if container.process
            else None,
            log=containers.log_path(container),
            driver=(await containers.workshop.snapshots()).driver,
            execs=self._execs.of(container),
            health=containers.live(container).health,
        )
        if size:
            found.size_rw = await containers.written(container)
            found.size_root_fs = found.size_rw + containers.below(container)
        return found

    async def container_top(self, id: str, *, ps_args: str = "-ef") -> ContainerTopResponse:
        """Its processes."""
        await self._settling.settle()
        return await container_processes(self._containers, id, ps_args)

    async def container_changes(self, id: str) -> list[ContainerChange]:
        """The paths that differ from the image's."""
        container = self._containers.find(id)
        snapshots = await self._containers.workshop.snapshots()
        changes = await snapshots.changes(container.snapshot)
        return [ContainerChange(path=change.path, kind=int(change.kind)) for change in changes]

    def container_stats(
        self, id: str, *, stream: bool = True, one_shot: bool = False
    ) -> AsyncGenerator[ContainerStats, None]:
        """What it uses."""
        return container_stats(self._containers, id, stream=stream, one_shot=one_shot)

    async def network_list(self, *, filters: Filters | None = None) -> list[NetworkInspect]:
        """The networks that containers can have."""
        return filter_networks(await self._networks(), filters)

    async def network_inspect(self, id: str, *, scope: str = "") -> NetworkInspect:
        """One network, with the containers in it."""
        network = find_network(await self._networks(), id, scope)
        records = self._containers.records
        return with_containers(network, records.catalogue, records.engine_id)

    async def _networks(self) -> list[NetworkInspect]:
        containers = self._containers
        networks = await containers.workshop.networks()
        return predefined_networks(
            containers.records.engine_id, self._opened, bridge=bool(networks.name)
        )

    async def volume_list(self, *, filters: Filters | None = None) -> VolumeListResponse:
        """The volumes that containers have."""
        return VolumeListResponse(volumes=list_volumes(self._containers, filters))

    async def volume_inspect(self, name: str) -> Volume:
        """One volume."""
        return find_volume(self._containers, name)

    # Running.

    async def container_start(self, id: str) -> bool:
        """Start it."""
        await self._settling.settle()
        return await self._finish(start_container(self._containers, id))

    async def container_stop(self, id: str, *, signal: str = "", t: int | None = None) -> bool:
        """Ask it to end, and kill it later."""
        await self._settling.settle()
        return await self._finish(
            stop_container(self._containers, id, signal_name=signal, seconds=t)
        )

    async def container_restart(self, id: str, *, signal: str = "", t: int | None = None) -> None:
        """Stop it, if it runs, and start it."""
        await self._settling.settle()
        await self._finish(restart_container(self._containers, id, signal_name=signal, seconds=t))

    async def container_kill(self, id: str, *, signal: str = "SIGKILL") -> None:
        """Send a signal."""
        await self._settling.settle()
        await self._finish(kill_container(self._containers, id, signal))

    async def container_pause(self, id: str) -> None:
        """Freeze all of its processes."""
        await self._settling.settle()
        await self._finish(pause_container(self._containers, id))

    async def container_unpause(self, id: str) -> None:
        """Let frozen processes go on."""
        await self._settling.settle()
        await self._finish(unpause_container(self._containers, id))

    async def container_resize(self, id: str, *, h: int, w: int) -> None:
        """Set its terminal's size."""
        await resize_container(self._containers, id, h, w)

    async def container_wait(
        self, id: str, *, condition: str = "not-running", begun: Callable[[], None] | None = None
    ) -> ContainerWaitResponse:
        """Wait until something has become of it."""
        await self._settling.settle()
        async with self._settling.meanwhile():
            return await wait_for(self._containers, id, condition, begun)

    # Its streams.

    @asynccontextmanager
    async def container_logs(
        self,
        id: str,
        *,
        follow: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        since: str = "",
        until: str = "",
        timestamps: bool = False,
        tail: str = "all",
    ) -> AsyncIterator[Output]:
        """What it wrote."""
        if not (stdout or stderr):
            raise InvalidParameter("Bad parameters: you must choose at least one stream")
        await self._settling.settle()
        container = self._containers.find(id)
        now = self._containers.now()
        query = LogQuery(
            stdout=stdout,
            stderr=stderr,
            since=parse_time(since, now) if since else None,
            until=parse_time(until, now) if until and until != "0" else None,
            timestamps=timestamps,
            tail=_lines(tail),
        )
        frames = container_output(self._containers, container, query, follow=follow)
        async with self._settling.meanwhile() if follow else nullcontext():
            yield AttachedStreams(
                tty=settings_of(container).config.tty, subscription=None, earlier=frames
            )

    def container_attach(
        self,
        id: str,
        *,
        stream: bool = True,
        stdin: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        logs: bool = False,
    ) -> AbstractAsyncContextManager[Attachment]:
        """Its streams from the moment of entering on."""
        return self._settling.first(
            attach_container(
                self._containers,
                id,
                stream=stream,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                logs=logs,
            )
        )

    # Its files.

    def container_export(self, id: str) -> AbstractAsyncContextManager[ByteStream]:
        """Its root filesystem as a tar archive."""
        return self._settling.first(export_container(self._containers, id))

    async def container_archive_info(self, id: str, *, path: str) -> PathStat:
        """What there is at a path."""
        await self._settling.settle()
        return await path_stat(self._containers, id, path)

    def container_archive(
        self, id: str, *, path: str
    ) -> AbstractAsyncContextManager[ContainerArchive]:
        """A file or directory as a tar archive."""
        return self._settling.first(archive_of(self._containers, id, path))

    async def put_container_archive(
        self,
        id: str,
        input_stream: ByteSource,
        *,
        path: str,
        no_overwrite_dir_non_dir: bool = False,
        copy_uidgid: bool = False,
    ) -> None:
        """Unpack a tar archive into a directory of the container."""
        await self._settling.settle()
        await put_archive(
            self._containers,
            id,
            input_stream,
            path=path,
            no_overwrite=no_overwrite_dir_non_dir,
            copy_owner=copy_uidgid,
        )

    # Commands inside of it.

    async def container_exec(self, id: str, exec_config: ExecConfig) -> IdResponse:
        """Prepare a command."""
        await self._settling.settle()
        return IdResponse(id=(await self._execs.prepare(id, exec_config)).id)

    def exec_start(
        self,
        id: str,
        *,
        detach: bool = False,
        tty: bool = False,  # noqa: ARG002 - it was prepared with a terminal, or without
        console_size: tuple[int, int] | None = None,
    ) -> AbstractAsyncContextManager[Attachment]:
        """Run a command that was prepared."""
        return self._execs.start(id, detach=detach, console_size=console_size)

    async def exec_resize(self, id: str, *, h: int, w: int) -> None:
        """Set its terminal's size."""
        process = self._execs.find(id).process
        if process is None:
            raise Conflict(f"exec {id} is not running")
        process.resize(h, w)

    async def exec_inspect(self, id: str) -> ExecInspect:
        """What it is, and what has become of it."""
        return inspect_exec(self._execs.find(id))


def _lines(tail: str) -> int | None:
    """How many lines are wanted; None, for all, where that is no number."""
    try:
        number = parse_int(tail, bits=64)
    except DockerfileError:
        return None
    return number if number >= 0 else None
