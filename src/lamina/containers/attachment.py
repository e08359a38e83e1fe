"""Being attached to a process: its output as it comes, and its input."""

from collections.abc import AsyncIterator, Awaitable, Callable

from lamina.containers.broadcast import Subscription
from lamina.runtime.stdio import Inlet
from lamina.streams import Frame

__all__ = ["AttachedStreams"]


class AttachedStreams:
    """`lamina.container_api.Attachment`.

    `earlier` comes before what is listened to; `inlet` waits for the process and gives what it
    reads, None if it will never run.
    """

    def __init__(
        self,
        *,
        tty: bool,
        subscription: Subscription | None,
        earlier: AsyncIterator[Frame] | None = None,
        inlet: Callable[[], Awaitable[Inlet | None]] | None = None,
        close_inlet: bool = False,
    ) -> None:
        self._tty = tty
        self._subscription = subscription
        self._earlier = earlier
        self._inlet = inlet
        self._close_inlet = close_inlet

    @property
    def tty(self) -> bool:
        """Whether the process has a terminal."""
        return self._tty

    async def __aiter__(self) -> AsyncIterator[Frame]:
        if self._earlier is not None:
            async for frame in self._earlier:
                yield frame
        if self._subscription is not None:
            async for frame in self._subscription:
                yield frame

    async def write(self, data: bytes) -> None:
        """As the protocol says."""
        if self._inlet is None:
            return
        inlet = await self._inlet()
        if inlet is None:
            raise BrokenPipeError("the process has ended")
        await inlet.write(data)

    async def close_stdin(self) -> None:
        """As the protocol says."""
        if self._inlet is not None and self._close_inlet:
            inlet = await self._inlet()
            if inlet is not None:
                inlet.close()
