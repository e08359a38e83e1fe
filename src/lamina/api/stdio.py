"""The standard streams of a process, carried over a hijacked connection."""

import asyncio
import contextlib
from typing import Protocol

from lamina.api.detach_keys import DetachKeys
from lamina.api.exchange import Exchange
from lamina.api.frames import MULTIPLEXED_STREAM, RAW_STREAM, encode_frame
from lamina.api.hijack import RawConnection
from lamina.container_api import Attachment
from lamina.streams import Frame


def hijack(exchange: Exchange, *, tty: bool) -> RawConnection:
    """Take the connection over, as the client has asked for it."""
    upgrade = "tcp" if "Upgrade" in exchange.headers else ""
    is_told = upgrade and not tty and exchange.version >= (1, 42)
    return exchange.hijack(MULTIPLEXED_STREAM if is_told else RAW_STREAM, upgrade=upgrade)


def on_wire(frame: Frame, *, tty: bool) -> bytes:
    """A frame as a client gets it: a terminal's bytes are sent as they are."""
    return frame.data if tty else encode_frame(frame)


class Line(Protocol):
    """A connection as a session uses it."""

    async def read(self) -> bytes:
        """The next bytes, empty when the client sends no more. Raises ConnectionError."""
        ...

    async def write(self, data: bytes) -> None:
        """Send `data`, waiting while the client is slow. Raises ConnectionError."""
        ...


class Session:
    """Carries an attachment's streams until the process ends, the user lets go, or `stopping`.

    `reads` and `writes` say whether the client is to be heard, and whether it is told anything.
    `framed`: it expects frames, as it does not know of a terminal.
    """

    def __init__(
        self,
        connection: Line,
        attachment: Attachment,
        *,
        reads: bool,
        writes: bool,
        framed: bool,
        detach_keys: bytes,
    ) -> None:
        self._connection = connection
        self._attachment = attachment
        self._reads = reads
        self._writes = writes
        self._framed = framed
        self._detach_keys = DetachKeys(detach_keys)

    async def run(self, stopping: asyncio.Event) -> None:
        """Carry both directions. Raises ConnectionError if the client goes away."""
        stop = asyncio.create_task(stopping.wait())
        output = asyncio.create_task(self._send_output()) if self._writes else None
        input_ = asyncio.create_task(self._take_input())
        tasks = {task for task in (stop, output, input_) if task is not None}
        try:
            while True:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if input_ in done:
                    tasks.discard(input_)
                    let_go = await input_
                    if let_go or output is None:
                        break
                if done & {stop, output}:
                    break
            if output is not None and output.done():
                await output
        finally:
            ended = [task for task in (stop, output, input_) if task is not None]
            for task in ended:
                task.cancel()
            await asyncio.gather(*ended, return_exceptions=True)

    async def _send_output(self) -> None:
        async for frame in self._attachment:
            await self._connection.write(on_wire(frame, tty=not self._framed))

    async def _take_input(self) -> bool:
        """Give the process what the client sends; whether the user wants to let go."""
        let_go = False
        try:
            while data := await self._connection.read():
                if not self._reads:
                    continue
                if self._attachment.tty:
                    data, let_go = self._detach_keys.feed(data)
                await self._write(data)
                if let_go:
                    return True
        finally:
            # Also when the client is gone: that is as well the end of what it says.
            if self._reads and not let_go:
                await self._attachment.close_stdin()
        return False

    async def _write(self, data: bytes) -> None:
        # A process that has closed its input may still write, so the rest is thrown away.
        with contextlib.suppress(ConnectionError):
            if data:
                await self._attachment.write(data)
