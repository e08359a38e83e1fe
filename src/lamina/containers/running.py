"""A container's life: it is started, paused and stopped, and ends."""

import asyncio
import signal
from contextlib import suppress
from dataclasses import replace
from typing import Final

from lamina.containers.containers import Containers
from lamina.containers.happenings import end_of_process
from lamina.containers.health import check_health, has_check
from lamina.containers.live import HealthState, Live
from lamina.containers.log_options import LogOptions
from lamina.containers.logs import LogWriter
from lamina.containers.mounts import check_sources, make_sources
from lamina.containers.removal import remove_ended
from lamina.containers.restarting import (
    give_up_restarting,
    next_delay,
    start_again,
    wants_restart,
)
from lamina.containers.sandboxing import sandbox_spec
from lamina.containers.settings import Settings
from lamina.containers.stored import settings_of, state_of, with_exit, with_state
from lamina.dockerfile.signals import SIGNALS, parse_signal
from lamina.dockerfile.source import DockerfileError
from lamina.errors import (
    Conflict,
    InvalidParameter,
    LaminaError,
    NotExecutable,
    StartFailed,
    Unavailable,
)
from lamina.records.containers import Container
from lamina.runtime.sandbox import Sandbox, birth_of
from lamina.runtime.supervisor import Exit

__all__ = [
    "end_sandbox",
    "exit_code_of",
    "kill_container",
    "pause_container",
    "restart_container",
    "signal_number",
    "start_container",
    "stop_container",
    "unpause_container",
]

_STOP_SECONDS: Final = 10
_NOT_STARTED: Final = 128
"""The exit status of what was not even tried to be started."""
_RETRY_SECONDS: Final = 5.0
"""After how long it is tried again to record an end: the disk may have been full."""
_DRAIN_SECONDS: Final = 5.0
"""How long what a dead process has written may still come, out of a process that has its pipe."""


async def start_container(containers: Containers, name: str) -> bool:
    """Start it; False if it runs. StartFailed, Conflict, InvalidParameter, Unavailable."""
    container = containers.find(name)
    live = containers.live(container)
    async with live.lock:
        container = containers.current(container)
        if container.status == "paused":
            raise Conflict("cannot start a paused container, try unpause instead")
        if container.status in {"removing", "dead"}:
            raise Conflict("container is marked for removal and cannot be started")
        if container.is_running:
            containers.check_ours(container)
            return False
        if containers.closing.is_set():
            raise Unavailable("the engine is being closed")
        host = settings_of(container).host_config
        await asyncio.to_thread(check_sources, host)
        live.delay = 0.0
        await _start(containers, container, live, restarts=0)
    return True


async def _start(containers: Containers, container: Container, live: Live, **facts: object) -> None:
    """Start it while its lock is held. Cancelled, it does not run."""
    settings = settings_of(container)
    try:
        sandbox = await _sandbox(containers, container, settings)
    except Exception as error:
        await _not_started(containers, container, live, error)
        raise
    log = None
    try:
        log = _log(containers, container, settings)
        running = with_state(
            container,
            status="running",
            process=containers.records.process,
            pid=sandbox.pid,
            started=containers.now(),
            exit_code=0,
            error="",
            oom_killed=False,
            stopped_by_hand=False,
            endpoint=sandbox.endpoint,
            **facts,
        )
        await containers.put(running, "start", durable=False)
    except BaseException:
        if log is not None:
            log.finish(containers.now())
        sandbox.close()
        await asyncio.shield(asyncio.create_task(sandbox.remove()))
        raise
    live.has_started(sandbox)
    live.health = None
    if has_check(settings.config.healthcheck):
        live.health = HealthState()
        check = check_health(containers, running, sandbox, live)
        containers.spawn(check)
    live.watching = asyncio.create_task(_watch(containers, running, live, sandbox, log))


async def _sandbox(containers: Containers, container: Container, settings: Settings) -> Sandbox:
    mounted = await containers.mount(container)
    runtime = await containers.workshop.runtime()
    await asyncio.to_thread(make_sources, settings.host_config, settings.mounts)
    joined: dict[int, int | None] = {}

    def join(other: str) -> int:
        pid = process_of(containers, other)
        joined[pid] = birth_of(pid)
        return pid

    try:
        spec = sandbox_spec(settings, mounted, runtime.machine, process_of=join)
        sandbox = await runtime.start(container.id, spec, stdin=settings.config.open_stdin)
    except NotExecutable:
        raise
    except InvalidParameter as error:
        # It was asked for when the container was made: who starts it has made no mistake.
        raise StartFailed(str(error), _NOT_STARTED) from error
    if any(birth_of(pid) != born for pid, born in joined.items()):
        # It may be in namespaces of the host's: of a process that has got the ID meanwhile.
        sandbox.close()
        await sandbox.remove()
        raise Conflict("cannot join a container that has just ended")
    return sandbox


def process_of(containers: Containers, name: str) -> int:
    """The process of a container that others may join. Raises ContainerNotFound, Conflict."""
    other = containers.find(name)
    sandbox = containers.live(other).sandbox
    if not other.is_running or (sandbox is not None and not sandbox.is_there()):
        raise Conflict(f"cannot join network of a non running container: {other.id}")
    containers.check_settled(other)
    return state_of(other).pid


def exit_code_of(error: Exception) -> int:
    """The exit status of a container that could not be started."""
    return error.exit_code if isinstance(error, StartFailed) else _NOT_STARTED


async def _not_started(
    containers: Containers, container: Container, live: Live, error: Exception
) -> None:
    """Keep what went wrong; one that is removed when it ends is removed now."""
    code = exit_code_of(error)
    status = container.status if container.status == "created" else "exited"
    failed = with_state(container, status=status, process="", exit_code=code, error=str(error))
    snapshots = await containers.workshop.snapshots()
    await snapshots.unmount(container.snapshot)
    if settings_of(container).host_config.auto_remove:
        live.has_exited(code)
        await remove_ended(containers, failed, live, happened=())
        return
    await containers.put(failed)
    live.has_exited(code)
    live.output.end()


def _log(containers: Containers, container: Container, settings: Settings) -> LogWriter | None:
    kind = settings.host_config.log_config
    if kind.type == "none":
        return None
    options = LogOptions.parse(kind.config or {})
    path = containers.log_path(container)
    path.parent.mkdir(mode=0o710, parents=True, exist_ok=True)
    return LogWriter(path, limit=options.limit, files=options.files)


# The end.


async def _watch(
    containers: Containers,
    container: Container,
    live: Live,
    sandbox: Sandbox,
    log: LogWriter | None,
) -> None:
    """Keep what it writes, wait for its end, and record that."""

    def keep(stream: int, data: bytes) -> None:
        if log is not None:
            log.write(stream, data, containers.now())
        live.has_written()

    pumping = asyncio.create_task(live.output.pump(sandbox, keep))
    try:
        ended = await sandbox.wait()
    except LaminaError as error:
        containers.parts.logger.warning("container %s: %s", container.id, error)
        ended = Exit(code=255, time=containers.now())
    await asyncio.wait({pumping}, timeout=_DRAIN_SECONDS)
    sandbox.close()
    with suppress(OSError, ExceptionGroup):
        await pumping
    if log is not None:
        log.finish(containers.now())
    async with live.lock:
        await _clean_up(containers, container, live, sandbox)
        while True:
            try:
                await _ended(containers, containers.current(container), live, ended)
            except (LaminaError, OSError):
                # Should it never be, the next to open the root finds that it does not run.
                containers.parts.logger.exception("container %s has ended", container.id)
            else:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_SECONDS):
                    await containers.closing.wait()
                    return


async def _clean_up(
    containers: Containers, container: Container, live: Live, sandbox: Sandbox
) -> None:
    """Remove what was there for its running; what cannot be stays, and is told of."""

    async def unmount() -> None:
        if not live.rootfs_users:
            snapshots = await containers.workshop.snapshots()
            await snapshots.unmount(container.snapshot)

    for work in (sandbox.remove, unmount):
        try:
            await work()
        except (LaminaError, OSError):
            containers.parts.logger.exception("what is left of container %s", container.id)


async def _ended(containers: Containers, container: Container, live: Live, ended: Exit) -> None:
    """Record its end, and do what follows."""
    settings, state = settings_of(container), state_of(container)
    exited = with_exit(container, ended)
    again = wants_restart(containers, exited)
    happened = end_of_process(state.started, ended)
    if settings.host_config.auto_remove and not (again or live.stays):
        live.has_exited(ended.code)
        live.output.end()
        await remove_ended(containers, exited, live, happened=happened)
        return
    if again:
        exited = replace(exited, status="restarting", process=containers.records.process)
    await containers.put_all(exited, happened)
    live.has_exited(ended.code)
    live.output.end()
    if again:
        seconds = max(0, ended.time - state.started) // 1_000_000_000
        live.delay = next_delay(live.delay, seconds)
        restarts = state.restarts + 1

        async def start(waiting: Container) -> None:
            await _start(containers, waiting, live, restarts=restarts)

        containers.spawn(start_again(containers, exited, live, start))


# From outside.


async def stop_container(
    containers: Containers, name: str, *, signal_name: str, seconds: int | None
) -> bool:
    """Ask it to end, and kill it after some seconds; False if it does not run."""
    container = containers.find(name)
    config = settings_of(container).config
    number = signal_number(signal_name or config.stop_signal or "SIGTERM")
    if seconds is None:
        seconds = _STOP_SECONDS if config.stop_timeout is None else config.stop_timeout
    live = containers.live(container)
    if not container.is_running and live.sandbox is None:
        await _remember_stop(containers, container, live)
        return False
    containers.check_ours(container)
    await _remember_stop(containers, container, live)
    await end_sandbox(containers, live, number, seconds)
    await containers.tell(container, "stop")
    return True


async def _remember_stop(containers: Containers, container: Container, live: Live) -> None:
    """Keep a restart policy from starting it again."""
    if settings_of(container).host_config.restart_policy.name in {"", "no"}:
        return
    async with live.lock:
        now = containers.current(container)
        if now.status == "restarting":
            await give_up_restarting(containers, now, live, by_hand=True)
        else:
            await containers.put(
                with_state(now, status=now.status, process=now.process, stopped_by_hand=True)
            )


async def end_sandbox(containers: Containers, live: Live, number: int, seconds: int) -> None:
    """Signal its first process, and kill it if that is of no use; returns when it has ended."""
    watching, sandbox = live.watching, live.sandbox
    if sandbox is None or watching is None:
        return
    container = containers.records.catalogue.containers.get(live.id)
    await sandbox.signal(number)
    if container is not None and container.status == "paused":
        # Or it would never see a signal that can be handled.
        await sandbox.resume()
    done, _ = await asyncio.wait({watching}, timeout=None if seconds < 0 else seconds)
    if not done:
        await sandbox.signal(signal.SIGKILL)
        await asyncio.wait({watching})


async def restart_container(
    containers: Containers, name: str, *, signal_name: str, seconds: int | None
) -> None:
    """Stop it, if it runs, and start it."""
    container = containers.find(name)
    live = containers.live(container)
    live.stays = True
    try:
        if container.is_running:
            await stop_container(containers, container.id, signal_name=signal_name, seconds=seconds)
        await start_container(containers, container.id)
    finally:
        live.stays = False
    await containers.tell(containers.current(container), "restart")


async def kill_container(containers: Containers, name: str, signal_name: str) -> None:
    """Send it a signal; of one that is about to be started again, it is the end."""
    number = signal_number(signal_name or "SIGKILL")
    container = containers.find(name)
    if not container.is_running:
        raise Conflict(f"Cannot kill container: {name}: Container {container.id} is not running")
    containers.check_ours(container)
    live = containers.live(container)
    config = settings_of(container).config
    ending = number in {signal.SIGKILL, signal_number(config.stop_signal or "SIGTERM")}
    if ending or container.status == "restarting":
        await _remember_stop(containers, container, live)
    await containers.tell(container, "kill", signal=str(number))
    sandbox = live.sandbox
    if sandbox is None:
        return
    await sandbox.signal(number)
    if number == signal.SIGKILL:
        if container.status == "paused":
            await sandbox.resume()
        if live.watching is not None:
            await asyncio.wait({live.watching}, timeout=_STOP_SECONDS)


def signal_number(name: str) -> int:
    """The number of a signal by name or number. InvalidParameter."""
    try:
        number = parse_signal(name)
    except DockerfileError:
        number = 0
    if number not in SIGNALS.values():
        raise InvalidParameter(f"invalid signal: {name}")
    return number


async def pause_container(containers: Containers, name: str) -> None:
    """Freeze it."""
    container = containers.find(name)
    live = containers.live(container)
    async with live.lock:
        container = containers.current(container)
        if container.status == "paused":
            raise Conflict(f"Container {container.id} is already paused")
        sandbox = containers.sandbox(container)
        live.pauses += 1
        try:
            await _pause(container, sandbox)
        except BaseException:
            live.pauses += 1
            raise
        paused = with_state(container, status="paused", process=container.process)
        await containers.put(paused, "pause", durable=False)


async def _pause(container: Container, sandbox: Sandbox) -> None:
    try:
        await sandbox.pause()
    except Unavailable:
        # One that has just ended cannot be paused.
        if await sandbox.is_ending():
            raise Conflict(f"Container {container.id} is not running") from None
        raise


async def unpause_container(containers: Containers, name: str) -> None:
    """Let it go on."""
    container = containers.find(name)
    live = containers.live(container)
    async with live.lock:
        container = containers.current(container)
        if container.status != "paused":
            raise Conflict(f"Container {container.id} is not paused")
        await containers.sandbox(container).resume()
        live.pauses += 1
        going_on = with_state(container, status="running", process=container.process)
        await containers.put(going_on, "unpause", durable=False)
