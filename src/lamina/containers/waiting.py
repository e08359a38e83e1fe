"""Waiting for what becomes of a container."""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from lamina.containers.containers import Containers
from lamina.containers.stored import state_of
from lamina.errors import InvalidParameter
from lamina.models import ContainerWaitExitError, ContainerWaitResponse
from lamina.records.containers import Container

__all__ = ["wait_for"]

_CONDITIONS: Final = ("", "not-running", "next-exit", "removed")
_INTERVAL: Final = 0.5
"""Seconds until a change that another process makes is seen."""


async def wait_for(
    containers: Containers, name: str, condition: str, begun: Callable[[], None] | None
) -> ContainerWaitResponse:
    """Wait until it does not run, or for its next exit, or until it is removed.

    `begun` is called when nothing can be missed any more. Raises InvalidParameter.
    """
    if condition not in _CONDITIONS:
        raise InvalidParameter(f'invalid condition: "{condition}"')
    container = containers.find(name)
    live = containers.live(container)
    if condition == "removed":
        future = live.removal()
    elif condition == "next-exit" or container.is_running:
        future = live.exit()
    else:
        if begun is not None:
            begun()
        return _response(state_of(container).exit_code, state_of(container).error)
    if begun is not None:
        begun()
    others = asyncio.create_task(_seen(containers, container, condition))
    try:
        waiting = {asyncio.ensure_future(asyncio.shield(future)), others}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        code = future.result() if future.done() else others.result()
    finally:
        others.cancel()
    known = containers.records.catalogue.containers.get(container.id)
    return _response(code, state_of(known).error if known is not None else "")


async def _seen(containers: Containers, container: Container, condition: str) -> int:
    """The exit status of a container that another process runs or removes, some time later."""
    known = container
    while True:
        generation = containers.records.catalogue.generation
        now = containers.records.catalogue.containers.get(container.id)
        if now is None:
            # Had we removed it ourselves, it would be known in a moment with what status it ended.
            await asyncio.sleep(_INTERVAL)
            return state_of(known).exit_code
        finished = state_of(now).finished != state_of(container).finished
        if condition != "removed" and finished and not now.has_process:
            return state_of(now).exit_code
        known = now
        await containers.records.wait_for_change(generation, at_most=_INTERVAL)


def _response(code: int, error: str) -> ContainerWaitResponse:
    failure = ContainerWaitExitError(message=error) if error else msgspec.UNSET
    return ContainerWaitResponse(status_code=code, error=failure)
