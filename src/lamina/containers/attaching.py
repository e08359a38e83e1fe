"""A container's output: what it has written, what it writes, and being attached to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lamina.containers.attachment import AttachedStreams
from lamina.containers.containers import Containers
from lamina.containers.live import Live
from lamina.containers.logs import LogFile, LogQuery
from lamina.containers.stored import settings_of, state_of
from lamina.errors import Conflict, NotImplementedHere
from lamina.records.containers import Container
from lamina.streams import Frame

__all__ = ["attach_container", "container_output"]

_FIRST_MOMENT = 0.3
"""Seconds after its start in which a container is given time to end before its log is read."""

_OTHERS_INTERVAL = 0.2
"""Seconds until what another process has added to a log is seen."""


def container_output(
    containers: Containers, container: Container, query: LogQuery, *, follow: bool
) -> AsyncIterator[Frame]:
    """What it wrote, and with `follow` what it will write until it ends. NotImplementedHere."""
    if settings_of(container).host_config.log_config.type == "none":
        raise NotImplementedHere("configured logging driver does not support reading")
    log = LogFile(containers.log_path(container), containers.now)
    live = containers.live(container)
    if not container.has_process or (not follow and live.sandbox is None):
        return log.read(query)
    if not follow:
        return _said(containers, container, live, log.read(query))
    if live.sandbox is not None:
        return log.read(query, more=live.more)
    return log.read(query, more=lambda: _others(containers, container))


async def _said(
    containers: Containers, container: Container, live: Live, log: AsyncIterator[Frame]
) -> AsyncIterator[Frame]:
    """The log of a running container; one that was started just now may first say something.

    Clients ask for the output of a short command without waiting for its end, and have it from a
    dockerd, which takes longer to start one than most take to run.
    """
    age = (containers.now() - state_of(container).started) / 1_000_000_000
    if 0 <= age < _FIRST_MOMENT:
        await asyncio.wait({live.exit()}, timeout=_FIRST_MOMENT - age)
    async for frame in log:
        yield frame


def _others(containers: Containers, container: Container) -> asyncio.Future[None] | None:
    """More may come of a container that another process runs."""
    known = containers.records.catalogue.containers.get(container.id)
    if known is None or not known.is_running:
        return None
    return asyncio.ensure_future(asyncio.sleep(_OTHERS_INTERVAL))


@asynccontextmanager
async def attach_container(
    containers: Containers,
    name: str,
    *,
    stream: bool,
    stdin: bool,
    stdout: bool,
    stderr: bool,
    logs: bool,
) -> AsyncIterator[AttachedStreams]:
    """Be attached to it for as long as the context lasts, from before it runs if need be."""
    container = containers.find(name)
    if container.status == "paused":
        raise Conflict(f"Container {container.id} is paused, unpause the container before attach.")
    containers.check_settled(container)
    containers.check_ours(container)
    config = settings_of(container).config
    live = containers.live(container)
    subscription = live.output.subscribe(stdout=stdout, stderr=stderr) if stream else None
    earlier = None
    if logs:
        query = LogQuery(stdout=stdout, stderr=stderr)
        earlier = container_output(containers, container, query, follow=False)
    try:
        await containers.tell(container, "attach")
        yield AttachedStreams(
            tty=config.tty,
            subscription=subscription,
            earlier=earlier,
            inlet=live.inlet if stream and stdin and config.open_stdin else None,
            close_inlet=config.stdin_once and not config.tty,
        )
    finally:
        if subscription is not None:
            live.output.unsubscribe(subscription)
