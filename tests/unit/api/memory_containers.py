"""Containers that live in memory: programs that echo what they hear, for tests of the HTTP side."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lamina.container_api import Attachment, ContainerArchive, Output
from lamina.errors import Conflict, ContainerNotFound, ExecNotFound, NotExecutable, NotFound
from lamina.image_api import Filters
from lamina.models import (
    ContainerChange,
    ContainerCreateResponse,
    ContainerInspect,
    ContainerPruneResponse,
    ContainerState,
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
    ProcessConfig,
    Volume,
    VolumeListResponse,
)
from lamina.oci.containerconfig import ContainerConfig
from lamina.streams import ByteSource, ByteStream, Frame, chunks_of


class Program:
    """An `Attachment`: says back what it is told, on both streams, until its input ends."""

    def __init__(self, *, tty: bool) -> None:
        self.tty = tty
        self.heard: list[bytes] = []
        self.input_ended = asyncio.Event()
        self.deaf = False
        self._said: asyncio.Queue[Frame | None] = asyncio.Queue()

    def say(self, stream: int, data: bytes) -> None:
        self._said.put_nowait(Frame(stream, data))

    def end(self) -> None:
        self._said.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[Frame]:
        while (frame := await self._said.get()) is not None:
            yield frame

    async def write(self, data: bytes) -> None:
        if self.deaf:
            raise BrokenPipeError
        self.heard.append(data)
        self.say(1, data)
        if not self.tty:
            self.say(2, b"heard\n")

    async def close_stdin(self) -> None:
        self.input_ended.set()
        self.say(1, b"bye\n")
        self.end()


class Lines:
    """An `Output` of made lines, which does not end if it is followed."""

    def __init__(self, frames: list[Frame], *, tty: bool, follow: bool) -> None:
        self.tty = tty
        self._frames = frames
        self._follow = follow

    async def __aiter__(self) -> AsyncIterator[Frame]:
        for frame in self._frames:
            yield frame
        if self._follow:
            await asyncio.Event().wait()


class Files:
    """A `ContainerArchive` over chunks."""

    def __init__(self, stat: PathStat, chunks: list[bytes]) -> None:
        self.stat = stat
        self.size = None
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


@dataclass
class MemoryContainers:
    """`ContainerApi`: every container but ``gone`` exists; ``idle`` does not run, ``tty`` has one.

    `calls` is what was asked, `programs` what is attached to.
    """

    calls: list[tuple[str, object]] = field(default_factory=list)
    programs: dict[str, Program] = field(default_factory=dict)
    execs: dict[str, ExecConfig] = field(default_factory=dict)
    uploads: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.exits = asyncio.Event()

    def called(self, name: str, id: str, *given: object) -> None:
        self.calls.append((name, (id, *given) if given else id))
        if id == "gone":
            raise ContainerNotFound(id)

    def program(self, id: str) -> Program:
        return self.programs.setdefault(id, Program(tty=id == "tty"))

    async def network_list(self, *, filters: Filters | None = None) -> list[NetworkInspect]:
        self.calls.append(("networks", filters))
        return [await self.network_inspect("host")]

    async def network_inspect(self, id: str, *, scope: str = "") -> NetworkInspect:
        if id not in ("host", "none"):
            raise NotFound(f"network {id} not found")
        self.calls.append(("network", (id, scope)))
        return NetworkInspect(name=id, id="0" * 64, created="", driver=id)

    async def volume_list(self, *, filters: Filters | None = None) -> VolumeListResponse:
        self.calls.append(("volumes", filters))
        return VolumeListResponse(volumes=[await self.volume_inspect("v")])

    async def volume_inspect(self, name: str) -> Volume:
        if name != "v":
            raise NotFound(f"get {name}: no such volume")
        return Volume(name=name, mountpoint="/v")

    async def container_create(
        self,
        config: ContainerConfig,
        *,
        host_config: HostConfig | None = None,
        networking_config: NetworkingConfig | None = None,
        name: str = "",
        platform: str = "",
    ) -> ContainerCreateResponse:
        self.calls.append(("create", (config, host_config, networking_config, name, platform)))
        return ContainerCreateResponse(id="c0")

    async def container_delete(
        self, id: str, *, v: bool = False, force: bool = False, link: bool = False
    ) -> None:
        self.called("delete", id, v, force, link)

    async def container_prune(self, *, filters: Filters | None = None) -> ContainerPruneResponse:
        self.calls.append(("prune", filters))
        return ContainerPruneResponse()

    async def container_rename(self, id: str, *, name: str) -> None:
        self.called("rename", id, name)

    async def container_update(self, id: str, resources: HostConfig) -> ContainerUpdateResponse:
        self.called("update", id, resources)
        return ContainerUpdateResponse()

    async def container_list(
        self,
        *,
        all: bool = False,
        limit: int = 0,
        size: bool = False,
        filters: Filters | None = None,
    ) -> list[ContainerSummary]:
        self.calls.append(("list", (all, limit, size, filters)))
        return []

    async def container_inspect(self, id: str, *, size: bool = False) -> ContainerInspect:
        self.called("inspect", id, size)
        return ContainerInspect(
            id="c0",
            created="2024-02-29T12:34:56Z",
            path="/bin/sh",
            args=[],
            state=ContainerState(status="created"),
            image="sha256:i0",
            name="/c",
            host_config=HostConfig(),
            config=ContainerConfig(),
        )

    async def container_top(self, id: str, *, ps_args: str = "-ef") -> ContainerTopResponse:
        self.called("top", id, ps_args)
        return ContainerTopResponse(processes=[["1", "sh"]], titles=["PID", "CMD"])

    async def container_changes(self, id: str) -> list[ContainerChange]:
        self.called("changes", id)
        return [] if id == "idle" else [ContainerChange(path="/a", kind=1)]

    async def container_stats(
        self, id: str, *, stream: bool = True, one_shot: bool = False
    ) -> AsyncGenerator[ContainerStats, None]:
        self.called("stats", id, stream, one_shot)
        yield ContainerStats(name="/c", id="c0")
        if stream:
            await asyncio.Event().wait()

    async def container_start(self, id: str) -> bool:
        self.called("start", id)
        if id == "bad":
            raise NotExecutable('exec: "x": executable file not found in $PATH: unknown', 127)
        return id == "idle"

    async def container_stop(self, id: str, *, signal: str = "", t: int | None = None) -> bool:
        self.called("stop", id, signal, t)
        return id != "idle"

    async def container_restart(self, id: str, *, signal: str = "", t: int | None = None) -> None:
        self.called("restart", id, signal, t)

    async def container_kill(self, id: str, *, signal: str = "SIGKILL") -> None:
        self.called("kill", id, signal)

    async def container_pause(self, id: str) -> None:
        self.called("pause", id)
        if id == "idle":
            raise Conflict(f"Container {id} is not running")

    async def container_unpause(self, id: str) -> None:
        self.called("unpause", id)

    async def container_resize(self, id: str, *, h: int, w: int) -> None:
        self.called("resize", id, h, w)

    async def container_wait(
        self, id: str, *, condition: str = "not-running", begun: Callable[[], None] | None = None
    ) -> ContainerWaitResponse:
        self.called("wait", id, condition)
        if begun is not None:
            begun()
        await self.exits.wait()
        return ContainerWaitResponse(status_code=3)

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
        self.called("logs", id, follow, stdout, stderr, since, until, timestamps, tail)
        frames = [Frame(1, b"out\n"), Frame(2, b"err\n")]
        yield Lines(frames, tty=id == "tty", follow=follow)

    @asynccontextmanager
    async def container_attach(
        self,
        id: str,
        *,
        stream: bool = True,
        stdin: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        logs: bool = False,
    ) -> AsyncIterator[Attachment]:
        self.called("attach", id, stream, stdin, stdout, stderr, logs)
        yield self.program(id)

    @asynccontextmanager
    async def container_export(self, id: str) -> AsyncIterator[ByteStream]:
        self.called("export", id)
        yield Files(self._stat("/"), [b"tar", b"!"])

    def _stat(self, path: str) -> PathStat:
        if path == "/nope":
            raise NotFound("Could not find the file /nope in container c")
        return PathStat(name=path[1:], size=3, mode=0o644, mtime="2024-02-29T12:34:56Z")

    async def container_archive_info(self, id: str, *, path: str) -> PathStat:
        self.called("archive_info", id, path)
        return self._stat(path)

    @asynccontextmanager
    async def container_archive(self, id: str, *, path: str) -> AsyncIterator[ContainerArchive]:
        self.called("archive", id, path)
        yield Files(self._stat(path), [b"tar", b"!"])

    async def put_container_archive(
        self,
        id: str,
        input_stream: ByteSource,
        *,
        path: str,
        no_overwrite_dir_non_dir: bool = False,
        copy_uidgid: bool = False,
    ) -> None:
        self.called("put_archive", id, path, no_overwrite_dir_non_dir, copy_uidgid)
        self._stat(path)
        async for chunk in chunks_of(input_stream):
            self.uploads.append(chunk)

    async def container_exec(self, id: str, exec_config: ExecConfig) -> IdResponse:
        self.called("exec", id, exec_config)
        exec_id = f"e{len(self.execs)}"
        self.execs[exec_id] = exec_config
        return IdResponse(id=exec_id)

    def _exec(self, id: str) -> ExecConfig:
        if id not in self.execs:
            raise ExecNotFound(id)
        return self.execs[id]

    @asynccontextmanager
    async def exec_start(
        self,
        id: str,
        *,
        detach: bool = False,
        tty: bool = False,
        console_size: tuple[int, int] | None = None,
    ) -> AsyncIterator[Attachment]:
        self.calls.append(("exec_start", (id, detach, tty, console_size)))
        config = self._exec(id)
        if config.cmd == ("missing",):
            raise NotExecutable('exec: "missing": executable file not found in $PATH: unknown', 127)
        program = self.programs.setdefault(id, Program(tty=tty))
        if detach:
            program.end()
        yield program

    async def exec_resize(self, id: str, *, h: int, w: int) -> None:
        self._exec(id)
        self.calls.append(("exec_resize", (id, h, w)))

    async def exec_inspect(self, id: str) -> ExecInspect:
        config = self._exec(id)
        return ExecInspect(
            id=id,
            running=False,
            process_config=ProcessConfig(
                tty=config.tty, entrypoint=(config.cmd or ("",))[0], arguments=[]
            ),
            open_stdin=config.attach_stdin,
            open_stdout=config.attach_stdout,
            open_stderr=config.attach_stderr,
            container_id="c0",
            detach_keys=config.detach_keys,
        )
