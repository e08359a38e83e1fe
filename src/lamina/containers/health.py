"""Health checks: a command that is run in a container again and again, and what it says."""

import asyncio
from contextlib import suppress
from typing import Final

from lamina.containers.containers import Containers
from lamina.containers.live import HealthState
from lamina.containers.sandboxing import environment
from lamina.containers.stored import settings_of
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
    containers: Containers, container: Container, sandbox: Sandbox, state: HealthState
) -> None:
    """Check a container that has just started, for as long as it runs."""
    config = settings_of(container).config
    check = config.healthcheck
    if check is None:
        return
    begun = containers.now()
    interval = check.interval or _INTERVAL
    while True:
        starting = state.status == "starting" and containers.now() < begun + check.start_period
        pause = check.start_interval if starting and check.start_interval else interval
        await asyncio.sleep(pause / _SECOND)
        result = await _result(containers, container, sandbox, check)
        if sandbox.has_exited:
            return
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


async def _result(
    containers: Containers, container: Container, sandbox: Sandbox, check: Healthcheck
) -> HealthcheckResult:
    """Run the command once."""
    begun = containers.now()
    timeout = (check.timeout or _TIMEOUT) / _SECOND
    try:
        process = await sandbox.exec(_process(container, check))
    except LaminaError as error:
        code, output = -1, str(error)
    else:
        code, output = await _outcome(process, timeout)
    return HealthcheckResult(
        start=format_unix(begun), end=format_unix(containers.now()), exit_code=code, output=output
    )


async def _outcome(process: RunningProcess, seconds: float) -> tuple[int, str]:
    """The exit status of a command and what it wrote; -1 if it takes too long."""
    assert process.stderr is not None
    reading = asyncio.gather(_text(process.stdout), _text(process.stderr))
    try:
        async with asyncio.timeout(seconds):
            ended: Exit = await process.wait()
            texts = await reading
        return ended.code, "".join(texts)
    except TimeoutError:
        await process.signal(9)
        return -1, f"Health check exceeded timeout ({seconds:g}s)"
    except LaminaError as error:
        return -1, str(error)
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError, OSError):
            await reading
        process.close()


async def _text(outlet: Outlet) -> str:
    """What is written, as much of it as is kept."""
    kept = b""
    async for piece in outlet:
        kept = (kept + piece)[:_MAX_OUTPUT]
    return kept.decode(errors="replace")


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
