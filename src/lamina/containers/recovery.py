"""Containers whose process was killed are brought to rest; those of this one when it ends."""

import asyncio
import signal
from typing import Final

from lamina.containers.containers import Containers
from lamina.containers.removal import remove_ended
from lamina.containers.restarting import give_up_restarting
from lamina.containers.running import end_sandbox, signal_number, start_container
from lamina.containers.stored import settings_of, state_of, with_exit
from lamina.errors import LaminaError
from lamina.records.containers import Container
from lamina.runtime.supervisor import Exit

__all__ = ["close_containers", "recover_containers", "start_wanted"]

_LAST_SECONDS: Final = 10.0
"""How long what has ended may still have to be told and written down."""


async def recover_containers(containers: Containers) -> None:
    """Sweep what processes that were killed have left, and record how their containers ended.

    Those that are removed when they end are removed. One process at a time does it: another would
    bring to rest what has been started again since. Nobody who has just opened the root has got
    further than here, so that who lives now is all who works in it.
    """
    async with containers.records.recovering():
        await _recover(containers)


async def _recover(containers: Containers) -> None:
    records = containers.records
    ended = await containers.workshop.sweep(
        wanted=lambda: {container.snapshot for container in records.catalogue.containers.values()}
    )
    await containers.sweep_places()
    living = records.living()
    mounted = living == {records.process} and await containers.workshop.has_mounts()
    for container in list(records.catalogue.containers.values()):
        if container.process in living:
            continue
        if container.process:
            await _lay_to_rest(containers, container, ended.get(container.id))
        elif mounted:
            # Somebody was killed while it looked into the files of one that does not run.
            await containers.unmount_unused(container, containers.live(container))
    used = containers.used_volumes()
    await asyncio.to_thread(lambda: containers.volumes.sweep(used=used, living=living))


async def _lay_to_rest(containers: Containers, container: Container, ended: Exit | None) -> None:
    live = containers.live(container)
    async with live.lock:
        if container.status == "restarting":
            await give_up_restarting(containers, container, live)
            return
        ended = ended or Exit(code=128 + signal.SIGKILL, time=containers.now())
        exited = with_exit(container, ended)
        if settings_of(container).host_config.auto_remove:
            happened = [("die", {"exitCode": str(ended.code)})]
            await remove_ended(containers, exited, live, happened=happened)
            return
        snapshots = await containers.workshop.snapshots()
        await snapshots.unmount(container.snapshot)
        await containers.put(exited, "die", exitCode=str(ended.code))


async def start_wanted(containers: Containers) -> None:
    """Start the containers whose restart policy wants them to run whenever the daemon does."""
    for container in list(containers.records.catalogue.containers.values()):
        policy = settings_of(container).host_config.restart_policy.name
        state = state_of(container)
        if container.status != "exited" or state.stopped_by_hand:
            continue
        if policy in {"always", "unless-stopped"}:
            try:
                await start_container(containers, container.id)
            except LaminaError as error:
                containers.parts.logger.warning("container %s: %s", container.id, error)


async def close_containers(containers: Containers, seconds: int) -> None:
    """End all that this process runs, with `seconds` for each to do so by itself."""
    containers.closing.set()
    # What is about to start is waited for, to be ended too.
    await containers.settled()

    async def end(container: Container) -> None:
        number = signal_number(settings_of(container).config.stop_signal or "SIGTERM")
        live = containers.live(container)
        await end_sandbox(containers, live, number if seconds else signal.SIGKILL, seconds)
        async with live.lock:
            known = containers.records.catalogue.containers.get(container.id)
            if known is not None and known.status == "restarting":
                await give_up_restarting(containers, known, live)

    async with asyncio.TaskGroup() as group:
        for container in containers.running():
            group.create_task(end(container))
    await containers.all_done(at_most=_LAST_SECONDS)
