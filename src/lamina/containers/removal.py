"""A container goes, with its files."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final

from lamina.containers.containers import Containers
from lamina.containers.happenings import container_event
from lamina.containers.live import Live
from lamina.containers.stored import settings_of, state_of
from lamina.errors import Conflict, NotFound
from lamina.records.changes import Change, RemoveContainer
from lamina.records.containers import Container
from lamina.runtime.sweeping import discard

__all__ = ["Happened", "remove_container", "remove_ended"]

_TRIES: Final = 3
"""How often one is killed that its restart policy starts again meanwhile."""

Happened = Iterable[tuple[str, Mapping[str, str]]]
"""Actions with attributes, to be told as events."""


async def remove_container(containers: Containers, name: str, *, force: bool) -> None:
    """Remove it with the volumes that are its own, killing it first with `force`.

    Conflict if it runs.
    """
    container = containers.find(name)
    live = containers.live(container)
    for _ in range(_TRIES):
        known = containers.records.catalogue.containers.get(container.id)
        if known is None:
            return
        if known.is_running:
            if not force:
                raise _still_running(known)
            containers.check_ours(known)
            await _kill(known, live)
        async with live.lock:
            known = containers.records.catalogue.containers.get(container.id)
            if known is None:
                return
            if not known.is_running or (force and not known.has_process):
                await remove_ended(containers, known, live, happened=())
                return
    raise _still_running(containers.current(container))


async def _kill(container: Container, live: Live) -> None:
    """Kill it, if it has a process, and wait until that is known."""
    if live.sandbox is not None:
        await live.sandbox.signal(9)
        if container.status == "paused":
            await live.sandbox.resume()
    if live.watching is not None:
        await asyncio.wait({live.watching})


def _still_running(container: Container) -> Conflict:
    if container.status == "paused":
        return Conflict(
            f"You cannot remove a paused container {container.id}. Unpause and then stop the"
            " container before attempting removal or force remove"
        )
    return Conflict(
        f"You cannot remove a {container.status} container {container.id}. Stop the container"
        " before attempting removal or force remove"
    )


async def remove_ended(
    containers: Containers, container: Container, live: Live, *, happened: Happened
) -> None:
    """Remove one that does not run, while its lock is held; it is gone whole or not at all."""
    await containers.records.finish(_remove(containers, container, live, happened))


async def _remove(
    containers: Containers, container: Container, live: Live, happened: Happened
) -> None:
    now = containers.now()

    def changes() -> Iterable[Change]:
        for action, attributes in happened:
            yield container_event(container, action, now, **attributes)
        yield RemoveContainer(container.id)
        yield container_event(container, "destroy", now)

    # Files without a record are swept by the next start; a record without its files never goes.
    await containers.records.change(lambda transaction: transaction.do_all(changes()))
    try:
        await _remove_files(containers, container)
    finally:
        live.is_removed(state_of(container).exit_code)
        live.output.end()
        containers.forget(container)
    images = containers.records.catalogue.images
    if container.image_id is not None and container.image_id not in images:
        # It was the last that needed the image's layers, perhaps.
        await containers.records.sweep()


async def _remove_files(containers: Containers, container: Container) -> None:
    with suppress(NotFound):
        await containers.workshop.remove(container.snapshot)
    place = containers.place(container)
    await asyncio.to_thread(discard, place.parent, place.name)
    used = containers.used_volumes()
    for name in settings_of(container).anonymous:
        if name not in used:
            await asyncio.to_thread(containers.volumes.remove, name)
