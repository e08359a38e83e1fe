"""Health checks: a command that is run in a container again and again, and what it says."""

import asyncio
from contextlib import suppress
from typing import Final

from lamina.containers.containers import Containers
from lamina.containers.live import Live
from lamina.containers.sandboxing import environment
from lamina.containers.stored import settings_of
from lamina.dockerfile.gostrings import show_duration
from lamina.errors import LaminaError
from lamina.models import HealthcheckResult
from lamina.oci.containerconfig import ContainerConfig, Healthcheck
from lamina.oci.timestamp import format_unix
from lamina.records.containers import Container
from lamina.runtime.sandbox import RunningProcess, Sandbox
from lamina.runtime.spec import ProcessSpec
from lamina.runtime.stdio import Outlet
from lamina.runtime.supervisor import Exit

__all__ = ["check_health", "has_check"]

_SECOND: Final = 1_000_000_000
_INTERVAL: Final = 30 * _SECOND
_TIMEOUT: Final = 30 * _SECOND
_RETRIES: Final = 3
_KEPT: Final = 5
_MAX_OUTPUT: Final = 4096


def has_check(check: Healthcheck | None) -> bool:
    """Whether a configuration asks for checks."""
    return check is not None and bool(check.test) and check.test[0] != "NONE"


async def check_health(
    containers: Containers, container: Container, sandbox: Sandbox, live: Live
) -> None:
    """Check a container that has just started, for as long as it runs."""
    config = settings_of(container).config
    check, state = config.healthcheck, live.health
    if check is None or state is None:
        return
    begun = containers.now()
    interval = check.interval or _INTERVAL
    while True:
        starting = state.status == "starting" and containers.now() < begun + check.start_period
        pause = check.start_interval if starting and check.start_interval else interval
        if await _ends_within(sandbox, pause / _SECOND):
            return
        pauses = live.pauses
        if pauses % 2:
            continue
        result = await _result(containers, container, sandbox, check)
        if sandbox.has_exited:
            return
        if live.pauses != pauses:
            # What failed meanwhile is no fault of its own.
            continue
        before = state.status
        state.results = [*state.results, result][-_KEPT:]
        if result.exit_code == 0:
            state.status, state.failing = "healthy", 0
        elif before != "starting" or containers.now() >= begun + check.start_period:
            state.failing += 1
            if state.failing >= (check.retries or _RETRIES):
                state.status = "unhealthy"
        if state.status != before:
            await containers.tell(container, f"health_status: {state.status}")


async def _ends_within(sandbox: Sandbox, seconds: float) -> bool:
    """Wait for some seconds; whether it has ended by then."""
    try:
        async with asyncio.timeout(seconds):
            await sandbox.wait()
    except TimeoutError:
        return False
    except LaminaError:
        pass  # nobody will ever know
    return True


async def _result(
    containers: Containers, container: Container, sandbox: Sandbox, check: Healthcheck
) -> HealthcheckResult:
    """Run the command once."""
    begun = containers.now()
    try:
        process = await sandbox.exec(_process(container, check))
    except (LaminaError, OSError) as error:
        code, output = -1, str(error)
    else:
        code, output = await _outcome(process, check.timeout or _TIMEOUT)
    return HealthcheckResult(
        start=format_unix(begun), end=format_unix(containers.now()), exit_code=code, output=output
    )


async def _outcome(process: RunningProcess, limit: int) -> tuple[int, str]:
    """The exit status of a command and what it wrote; -1 after `limit` nanoseconds."""
    assert process.stderr is not None
    kept = _Kept()
    reading = asyncio.gather(kept.read(process.stdout), kept.read(process.stderr))
    try:
        async with asyncio.timeout(limit / _SECOND):
            ended: Exit = await process.wait()
            await reading
        return ended.code, kept.text()
    except TimeoutError:
        with suppress(LaminaError):
            await process.signal(9)
        return -1, f"Health check exceeded timeout ({show_duration(limit)})"
    except (LaminaError, OSError) as error:
        return -1, str(error)
    finally:
        reading.cancel()
        await asyncio.wait({reading})
        process.close()


class _Kept:
    """The beginning of what a command writes to both of its streams, as it comes."""

    def __init__(self) -> None:
        self._bytes = b""
        self._is_cut = False

    async def read(self, outlet: Outlet) -> None:
        """Read all that is written, and keep some of it."""
        async for piece in outlet:
            room = _MAX_OUTPUT - len(self._bytes)
            self._bytes += piece[:room]
            self._is_cut = self._is_cut or len(piece) > room

    def text(self) -> str:
        """What was kept, and whether there was more."""
        return self._bytes.decode(errors="replace") + ("..." if self._is_cut else "")


def _process(container: Container, check: Healthcheck) -> ProcessSpec:
    settings = settings_of(container)
    config = settings.config
    return ProcessSpec(
        argv=_argv(config, check),
        env=environment(config, settings.host_config),
        cwd=config.working_dir or "/",
        user=config.user,
        groups=settings.host_config.group_add or (),
    )


def _argv(config: ContainerConfig, check: Healthcheck) -> tuple[str, ...]:
    kind, *words = check.test
    if kind == "CMD-SHELL":
        return (*(config.shell or ("/bin/sh", "-c")), *words)
    return tuple(words) if kind == "CMD" else check.test
