"""Intermediate containers: what a step of a build was made in, kept as a container like any other.

A step that runs a command has a root filesystem of its own, whether that is kept or not; it becomes
the container's. Any other step is made without one, and has only the container that dockerd would
have made for it.
"""

from contextlib import suppress
from dataclasses import replace

from lamina.containers.containers import Containers
from lamina.containers.creating import Beginning, make_container
from lamina.containers.happenings import end_of_process
from lamina.containers.removal import remove_container
from lamina.containers.running import exit_code_of
from lamina.containers.settings import State
from lamina.errors import Conflict, LaminaError, NotFound
from lamina.runtime.supervisor import Exit

__all__ = ["after_run", "keep_intermediate", "not_started"]


def after_run(beginning: Beginning, snapshot: str, started: int, ended: Exit) -> Beginning:
    """The container of a command that ran from `started` on (unix nanoseconds)."""
    events = end_of_process(started, ended)
    return replace(
        beginning,
        snapshot=snapshot,
        status="exited",
        state=State(
            exit_code=ended.code,
            oom_killed=ended.oom_killed,
            started=started,
            finished=ended.time,
        ),
        happened=(
            (started, "start", {}),
            *((ended.time, action, attributes) for action, attributes in events),
        ),
    )


def not_started(beginning: Beginning, snapshot: str, error: LaminaError) -> Beginning:
    """The container of a command that could not be started."""
    state = State(exit_code=exit_code_of(error), error=str(error))
    return replace(beginning, snapshot=snapshot, state=state)


async def keep_intermediate(containers: Containers, beginning: Beginning) -> None:
    """Make it a container, even if the caller is cancelled. As `create_container` raises.

    A snapshot that it has is removed if it does not come to be. The steps of builds with a given
    time have the same IDs in each: the latest takes the place of one that does not run.
    """
    await containers.records.finish(_keep(containers, beginning))


async def _keep(containers: Containers, beginning: Beginning) -> None:
    try:
        if beginning.id in containers.records.catalogue.containers:
            await remove_container(containers, beginning.id, force=False)
        await make_container(containers, beginning)
    except BaseException as error:
        if beginning.snapshot:
            with suppress(NotFound):
                await containers.workshop.remove(beginning.snapshot)
        if isinstance(error, Conflict):
            containers.parts.logger.info("a build keeps no container: %s", error)
            return
        raise
