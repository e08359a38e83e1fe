"""`ContainerApi`: the Docker Engine API's operations on containers, as one Protocol.

Operation and parameter names are those of the API's own document. An `id` may be a container's ID,
the beginning of one if no other has it, or a name; where there is none, every operation raises
ContainerNotFound (ExecNotFound for an exec). Errors have dockerd's words, and those of a failing
start the OCI runtime's, which clients look into: ``exec: "x": executable file not found in $PATH``.

An engine on a machine without an OCI runtime raises Unavailable where it would have to run
something, and says what to install.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

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
from lamina.streams import ByteSource, ByteStream, Frame


class Output(Protocol):
    """What a process wrote: iterate it for its frames, in their order as far as there is one."""

    @property
    def tty(self) -> bool:
        """Whether the process has a terminal, so that there is only one stream."""
        ...

    def __aiter__(self) -> AsyncIterator[Frame]: ...


class Attachment(Output, Protocol):
    """The standard streams of a process that may still run; the iteration ends with its output.

    Reading and writing may go on at the same time. Leaving lets go of the process, which goes on.
    """

    async def write(self, data: bytes) -> None:
        """Give `data` to the process, waiting while it does not read.

        Does nothing if stdin is not attached; raises ConnectionError if nobody will ever read it.
        """
        ...

    async def close_stdin(self) -> None:
        """Say that no more will be written: the process sees the end of its input.

        A container's sees it only if it was made with `stdin_once`, and not on a terminal.
        """
        ...


class ContainerArchive(ByteStream, Protocol):
    """A tar archive of a path in a container; its first entry is the path's last component."""

    @property
    def stat(self) -> PathStat:
        """What the path is."""
        ...


class ContainerApi(Protocol):
    """The operations on containers and on the commands (execs) that are run inside of them."""

    # From nothing to a container and back.

    async def container_create(
        self,
        config: ContainerConfig,
        *,
        host_config: HostConfig | None = None,
        networking_config: NetworkingConfig | None = None,
        name: str = "",
        platform: str = "",
    ) -> ContainerCreateResponse:
        """Make a container of the image that `config` names; without `name` it gets one.

        Raises ImageNotFound, InvalidParameter, Conflict (the name is taken).
        """
        ...

    async def container_delete(
        self, id: str, *, v: bool = False, force: bool = False, link: bool = False
    ) -> None:
        """Remove a container, killing it first with `force`, and with `v` its anonymous volumes.

        Raises Conflict (it runs, it is being removed), InvalidParameter (`link` that is none).
        """
        ...

    async def container_prune(self, *, filters: Filters | None = None) -> ContainerPruneResponse:
        """Remove all containers that do not run. Filters: until, label, label!.

        Raises InvalidFilter, Conflict (a prune is going on).
        """
        ...

    async def container_rename(self, id: str, *, name: str) -> None:
        """Give a container another name. Raises InvalidParameter, Conflict (it is taken)."""
        ...

    async def container_update(self, id: str, resources: HostConfig) -> ContainerUpdateResponse:
        """Change limits and the restart policy; what `resources` leaves unset stays as it is."""
        ...

    # What there is.

    async def container_list(
        self,
        *,
        all: bool = False,
        limit: int = 0,
        size: bool = False,
        filters: Filters | None = None,
    ) -> list[ContainerSummary]:
        """The running containers or `all`, newest first; at most `limit` of all, if above zero.

        Filters: ancestor, before, exited, expose, health, id, is-task, isolation, label, name,
        network, publish, since, status, volume. Raises InvalidFilter; NotFound for a container that
        `before` or `since` names.
        """
        ...

    async def container_inspect(self, id: str, *, size: bool = False) -> ContainerInspect:
        """Everything known about a container; `size` has its files counted."""
        ...

    async def container_top(self, id: str, *, ps_args: str = "-ef") -> ContainerTopResponse:
        """Its processes as ``ps`` shows them. Raises Conflict (it does not run)."""
        ...

    async def container_changes(self, id: str) -> list[ContainerChange]:
        """The paths that differ from the image's, sorted."""
        ...

    def container_stats(
        self, id: str, *, stream: bool = True, one_shot: bool = False
    ) -> AsyncGenerator[ContainerStats, None]:
        """What it uses: each second for as long as there is the container, or once.

        Without `stream` the one measurement has one of a second before beside it, unless it is
        `one_shot`. Nothing is measured of a container that does not run.
        """
        ...

    # What they are connected with.

    async def network_list(self, *, filters: Filters | None = None) -> list[NetworkInspect]:
        """The networks that there are; which containers are in them is not told.

        Filters: dangling, driver, id, label, name, scope, type. Raises InvalidFilter.
        """
        ...

    async def network_inspect(self, id: str, *, scope: str = "") -> NetworkInspect:
        """A network by its name, its ID or the beginning of one, and the running containers in it.

        Raises NotFound, InvalidParameter (several).
        """
        ...

    async def volume_list(self, *, filters: Filters | None = None) -> VolumeListResponse:
        """The volumes that there are. Filters: dangling, driver, label, name. InvalidFilter."""
        ...

    async def volume_inspect(self, name: str) -> Volume:
        """A volume. Raises NotFound."""
        ...

    # Running.

    async def container_start(self, id: str) -> bool:
        """Start it; False if it was running. Raises InvalidParameter (a command that is not there).

        Raises Conflict (paused, being removed); other failures are the runtime's own errors.
        """
        ...

    async def container_stop(self, id: str, *, signal: str = "", t: int | None = None) -> bool:
        """Ask it to end, and kill it `t` seconds later; False if it was not running.

        `signal` and `t` are the container's own, or SIGTERM and 10, where they are not given;
        a negative `t` waits for ever.
        """
        ...

    async def container_restart(self, id: str, *, signal: str = "", t: int | None = None) -> None:
        """Stop it, if it runs, and start it."""
        ...

    async def container_kill(self, id: str, *, signal: str = "SIGKILL") -> None:
        """Send a signal. Raises InvalidParameter (no such signal), Conflict (it does not run)."""
        ...

    async def container_pause(self, id: str) -> None:
        """Freeze all of its processes. Raises Conflict (it does not run, it is paused)."""
        ...

    async def container_unpause(self, id: str) -> None:
        """Let frozen processes go on. Raises Conflict (it is not paused)."""
        ...

    async def container_resize(self, id: str, *, h: int, w: int) -> None:
        """Set its terminal's size in characters. Raises Conflict (it does not run)."""
        ...

    async def container_wait(
        self, id: str, *, condition: str = "not-running", begun: Callable[[], None] | None = None
    ) -> ContainerWaitResponse:
        """Wait until it is ``not-running``, or for its ``next-exit``, or until it is ``removed``.

        `begun` is called once the container was found and nothing that it does can be missed.
        Raises InvalidParameter (condition).
        """
        ...

    # Its streams.

    def container_logs(
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
    ) -> AbstractAsyncContextManager[Output]:
        """What it wrote, and with `follow` what it will write until it ends.

        Frames are lines, or the pieces of a very long one; `timestamps` puts the time before each.
        `tail` is a number of lines or ``all``; `since` and `until` as of `SystemApi.system_events`.
        Raises InvalidParameter (a time).
        """
        ...

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
        """Its streams from the moment of entering on, so also of its start if it is still to come.

        With `logs` what it has written before comes first, and without `stream` that is all.
        Raises Conflict (it is paused, or restarting).
        """
        ...

    # Its files.

    def container_export(self, id: str) -> AbstractAsyncContextManager[ByteStream]:
        """Its root filesystem as a tar archive, without what is mounted."""
        ...

    async def container_archive_info(self, id: str, *, path: str) -> PathStat:
        """What there is at a path. Raises NotFound."""
        ...

    def container_archive(
        self, id: str, *, path: str
    ) -> AbstractAsyncContextManager[ContainerArchive]:
        """A file or directory as a tar archive. Raises NotFound."""
        ...

    async def put_container_archive(
        self,
        id: str,
        input_stream: ByteSource,
        *,
        path: str,
        no_overwrite_dir_non_dir: bool = False,
        copy_uidgid: bool = False,
    ) -> None:
        """Unpack a tar archive, in any compression, into a directory of the container.

        `no_overwrite_dir_non_dir` refuses to replace a directory by a file, or a file by a
        directory; `copy_uidgid` gives what is unpacked the owner that the container's user is.
        Raises NotFound, InvalidParameter (no directory, not an archive), Forbidden (read-only).
        """
        ...

    # Commands inside of it.

    async def container_exec(self, id: str, exec_config: ExecConfig) -> IdResponse:
        """Prepare a command; the result is the exec's ID. Raises InvalidParameter, Conflict."""
        ...

    def exec_start(
        self,
        id: str,
        *,
        detach: bool = False,
        tty: bool = False,
        console_size: tuple[int, int] | None = None,
    ) -> AbstractAsyncContextManager[Attachment]:
        """Run it; entering starts it, attached to the streams it was prepared with.

        With `detach` to none of them: then there is nothing to read. Raises Conflict (the container
        does not run, the exec has run), and the runtime's errors, after which the exec's exit code
        is 126 or 127.
        """
        ...

    async def exec_resize(self, id: str, *, h: int, w: int) -> None:
        """Set its terminal's size in characters."""
        ...

    async def exec_inspect(self, id: str) -> ExecInspect:
        """What it is, and what has become of it."""
        ...
