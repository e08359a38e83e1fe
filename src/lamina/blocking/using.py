"""`use`: an engine or a client on an event loop of its own."""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import overload

from lamina.blocking.api import Api, AsyncApi
from lamina.blocking.calls import Calls, running_loop
from lamina.blocking.engine_api import AsyncEngine, EngineApi

__all__ = ["use"]


@overload
def use(manager: AbstractAsyncContextManager[AsyncEngine]) -> AbstractContextManager[EngineApi]: ...
@overload
def use(manager: AbstractAsyncContextManager[AsyncApi]) -> AbstractContextManager[Api]: ...
def use(manager: AbstractAsyncContextManager[AsyncApi]) -> AbstractContextManager[Api]:
    """Open what ``Engine.open(…)`` or ``Client.connect(…)`` gives, on a loop in its own thread.

    An engine gives an `EngineApi`, anything else an `Api`. At the end the calls of other threads
    that still run are cancelled. Raises what opening raises.
    """
    return _used(manager)


@contextlib.contextmanager
def _used(manager: AbstractAsyncContextManager[AsyncApi]) -> Iterator[Api]:
    with (
        running_loop() as loop,
        Calls(loop) as outer,
        outer.entered(manager) as api,
        Calls(loop) as calls,
    ):
        yield EngineApi(api, calls) if isinstance(api, AsyncEngine) else Api(api, calls)
