"""Restart policies: what has ended is started again, after a while that grows.

Meanwhile it is ``restarting``: it counts as running, and belongs to the process that waits.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from lamina.containers.containers import Containers
from lamina.containers.live import Live
from lamina.containers.stored import settings_of, state_of, with_state
from lamina.errors import LaminaError
from lamina.records.containers import Container

__all__ = ["give_up_restarting", "next_delay", "start_again", "wants_restart"]

_FIRST_DELAY: Final = 0.1
_LAST_DELAY: Final = 60.0
_WELL_SECONDS: Final = 10
"""Who has run for that long is started again at once."""


def wants_restart(containers: Containers, ended: Container) -> bool:
    """Whether a container that has ended is to be started again."""
    state, policy = state_of(ended), settings_of(ended).host_config.restart_policy
    if containers.closing.is_set() or state.stopped_by_hand:
        return False
    if policy.name == "on-failure":
        limit = policy.maximum_retry_count
        return state.exit_code != 0 and (not limit or state.restarts < limit)
    return policy.name in {"always", "unless-stopped"}


def next_delay(delay: float, ran: int) -> float:
    """Seconds to wait after it has run for `ran` seconds, when it was `delay` the last time."""
    if ran >= _WELL_SECONDS or not delay:
        return _FIRST_DELAY
    return min(2 * delay, _LAST_DELAY)


async def start_again(
    containers: Containers,
    waiting: Container,
    live: Live,
    start: Callable[[Container], Awaitable[None]],
) -> None:
    """Start a container in a while, if it still waits for that and its policy still wants it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(live.delay):
            await containers.closing.wait()
            return
    async with live.lock:
        known = containers.records.catalogue.containers.get(waiting.id)
        if known is None or known.status != "restarting" or containers.closing.is_set():
            return
        if state_of(known).finished != state_of(waiting).finished:
            # It has run since.
            return
        if wants_restart(containers, known):
            with suppress(LaminaError, OSError):
                await start(known)
        else:
            await give_up_restarting(containers, known, live)


async def give_up_restarting(
    containers: Containers, waiting: Container, live: Live, *, by_hand: bool = False
) -> None:
    """Have a container that waits to be started again stay ended; its lock is held."""
    by_hand = by_hand or state_of(waiting).stopped_by_hand
    await containers.put(with_state(waiting, status="exited", process="", stopped_by_hand=by_hand))
    live.has_exited(state_of(waiting).exit_code)
