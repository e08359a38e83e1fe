"""The engine's end of the monitor: requests, their answers, and what it tells by itself."""

import array
import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from lamina.errors import Unavailable

__all__ = ["Exit", "Supervisor"]

_MAX_PACKET = 1 << 17


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended."""

    code: int
    """Its exit status; 128 and the signal's number if a signal killed it."""
    time: int
    """Unix nanoseconds."""
    oom_killed: bool = False
    """Whether the kernel killed a process of its container because of its memory limit."""


class Supervisor:
    """A monitor process, which is started with this object and ends with it."""

    def __init__(self, process: subprocess.Popen[bytes], connection: socket.socket) -> None:
        self._process = process
        self._socket = connection
        self._loop = asyncio.get_running_loop()
        self._numbers = 0
        self._answers: dict[int, asyncio.Future[tuple[dict[str, Any], int | None]]] = {}
        self._exits: dict[str, asyncio.Future[Exit]] = {}
        self._gone = asyncio.Event()
        connection.settimeout(0)
        self._loop.add_reader(connection, self._read)

    @classmethod
    async def start(cls, lock: Path) -> Self:
        """Start one, which holds a lock on the file `lock` as long as it lives. Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            arguments = (str(theirs.fileno()), str(lock))

            def spawn() -> subprocess.Popen[bytes]:
                return subprocess.Popen(  # noqa: S603 - ourselves
                    [sys.executable, "-S", "-m", "lamina.runtime.monitor", *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                    cwd="/",
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )

            try:
                process = await asyncio.to_thread(spawn)
            except BaseException:
                ours.close()
                raise
        return cls(process, ours)

    @property
    def has_ended(self) -> bool:
        """Whether the monitor is gone: closed, or killed by somebody else."""
        return self._gone.is_set()

    async def run(
        self, name: str, request: dict[str, Any], fds: Sequence[int]
    ) -> tuple[int, int | None, "asyncio.Future[Exit]"]:
        """Start a process; its ID, its terminal's descriptor if it has one, and its end to be.

        Unavailable, with what the OCI runtime says.
        """
        exited = self._exits[name] = self._loop.create_future()
        try:
            answer, terminal = await self._ask({"name": name, **request}, fds)
        except BaseException:
            self._exits.pop(name, None)
            raise
        if "error" in answer:
            self._exits.pop(name, None)
            raise Unavailable(answer["error"])
        return answer["pid"], terminal, exited

    async def signal(self, name: str, number: int) -> bool:
        """Send a signal; whether the process was still there."""
        answer, _ = await self._ask({"do": "signal", "name": name, "signal": number})
        return bool(answer.get("there"))

    async def delete(self, name: str) -> None:
        """Kill a container, if it runs, and wait until nothing is left of it."""
        try:
            await self._ask({"do": "delete", "name": name})
        except Unavailable:
            # The monitor ends with its last container.
            await asyncio.to_thread(self._process.wait)

    async def close(self) -> None:
        """End the monitor, and with it all containers."""
        if not self._gone.is_set():
            self._loop.remove_reader(self._socket)
            self._end("the engine is closed")
        await asyncio.to_thread(self._process.wait)

    async def _ask(
        self, request: dict[str, Any], fds: Sequence[int] = ()
    ) -> tuple[dict[str, Any], int | None]:
        self._numbers += 1
        number = self._numbers
        answer: asyncio.Future[tuple[dict[str, Any], int | None]] = self._loop.create_future()
        self._answers[number] = answer
        packet = json.dumps({"n": number, **request}).encode()
        try:
            while not self._sent(packet, fds):  # noqa: ASYNC110 - nothing tells
                # It is busy, and its queue full: it will have read some of it soon.
                await asyncio.sleep(0.01)
            return await answer
        finally:
            del self._answers[number]

    def _sent(self, packet: bytes, fds: Sequence[int]) -> bool:
        """Send a request; False if there is no room for it now. Unavailable."""
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))
        try:
            if not self._gone.is_set():
                self._socket.sendmsg([packet], [rights] if fds else [])
                return True
        except BlockingIOError:
            return False
        except ConnectionError:
            pass
        raise Unavailable("the monitor of the containers has ended")

    def _read(self) -> None:
        while True:
            try:
                packet, fds, _, _ = socket.recv_fds(self._socket, _MAX_PACKET, 1)
            except BlockingIOError:
                return
            except ConnectionError:
                packet, fds = b"", []
            if not packet:
                self._loop.remove_reader(self._socket)
                self._end("the monitor of the containers has ended")
                return
            self._take(json.loads(packet), fds[0] if fds else None)

    def _take(self, message: dict[str, Any], terminal: int | None) -> None:
        if (number := message.get("n")) is not None:
            waiting = self._answers.get(number)
            if waiting is not None and not waiting.done():
                waiting.set_result((message, terminal))
                return
            # Given up by who asked.
        elif (name := message.get("exited")) is not None:
            exited = self._exits.pop(name, None)
            if exited is not None and not exited.done():
                exited.set_result(Exit(message["code"], message["time"], bool(message["oom"])))
        if terminal is not None:
            os.close(terminal)

    def _end(self, why: str) -> None:
        self._gone.set()
        self._socket.close()
        for waiting in [*self._answers.values()]:
            if not waiting.done():
                waiting.set_exception(Unavailable(why))
                # Looked at, or the loop would report an exception that nobody retrieved.
                waiting.exception()
        for exited in self._exits.values():
            if not exited.done():
                exited.set_exception(Unavailable(why))
                exited.exception()
        with suppress(OSError):
            self._socket.close()
